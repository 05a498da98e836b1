"""JSON Schema for editors, generated from the models.

A file names its schema in its first line, which the YAML language server of VS Code, Neovim and JetBrains
reads: ``# yaml-language-server: $schema=../schema/webhook.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from pipeline.config.models.case import CaseFile
from pipeline.config.models.job import PipelineFile
from pipeline.config.models.label import LabelFile
from pipeline.config.models.webhook import WebhookFile
from pipeline.language.units import show_duration

SCHEMAS: dict[str, tuple[type[BaseModel], str]] = {
    "webhook": (WebhookFile, "Hookline webhook"),
    "label": (LabelFile, "Hookline label"),
    "pipeline": (PipelineFile, "Hookline pipeline.yaml"),
    "test": (CaseFile, "Hookline config test"),
}


class _Plain(GenerateJsonSchema):
    """Without the titles that repeat each field's name: editors show them instead of the description."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema(kind: str) -> JsonSchemaValue:
    """Return the schema of a kind of file: webhook, label, pipeline or test."""
    model, title = SCHEMAS[kind]
    found = model.model_json_schema(schema_generator=_Plain, by_alias=True)
    _as_written(found)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": title}


def schema_text(kind: str) -> str:
    """Return the schema as it is written to config/schema/."""
    return orjson.dumps(schema(kind), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def write_schemas(directory: Path) -> list[Path]:
    """Write one file per kind, and return them."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in SCHEMAS:
        path = directory / f"{kind}.json"
        path.write_text(schema_text(kind), encoding="utf-8")
        written.append(path)
    return written


def _as_written(node: Any) -> None:
    """Show durations as people write them, and allow ``${NAME}`` where a pattern is wanted."""
    if isinstance(node, list):
        for inner in node:
            _as_written(inner)
    elif isinstance(node, dict):
        for inner in node.values():
            _as_written(inner)
        default = node.get("default")
        if str(node.get("title", "")).startswith("duration") and isinstance(default, float):
            node["default"] = show_duration(default)
        if "pattern" in node and node.get("type") == "string":
            node["pattern"] = f"{node['pattern']}|\\$\\{{"
