"""The JSON Schemas of a config's files, for who writes them."""

from __future__ import annotations

from functools import lru_cache

from pipeline.config.files import SHAPES
from pipeline.model.json import Value
from pipeline.operate.schemas.files import schema


@lru_cache(8)
def schema_for(file: str) -> Value:
    """Return the JSON Schema of a file of this kind, with the meaning of every field."""
    kinds = {"webhooks": "webhook", "labels": "label", SHAPES: "shape"}
    return schema(kinds[file.partition("/")[0]])
