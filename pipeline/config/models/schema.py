"""The JSON Schema of a model, as pydantic generates it; operate/schemas turns it into an editor's schema."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from pipeline.config.models.installation.job import PipelineFile
from pipeline.config.models.shape import ShapeFile
from pipeline.config.models.webhooks.case import CaseFile, ShapeCaseFile
from pipeline.config.models.webhooks.label import LabelFile
from pipeline.config.models.webhooks.webhook import WebhookFile
from pipeline.model.json import Value

SCHEMAS: dict[str, tuple[type[BaseModel], str]] = {
    "webhook": (WebhookFile, "Hookline webhook"),
    "label": (LabelFile, "Hookline label"),
    "shape": (ShapeFile, "Hookline shape"),
    "pipeline": (PipelineFile, "Hookline pipeline.yaml"),
    "test": (CaseFile, "Hookline config test"),
    "shape-test": (ShapeCaseFile, "Hookline shape test"),
}
"""The kinds of files, their models and their titles."""


class _Plain(GenerateJsonSchema):
    """Without the titles that repeat each field's name: editors show them instead of the description."""

    def field_title_should_be_set(self, schema: Value) -> bool:
        return False


def model_schema(model: type[BaseModel]) -> dict[str, Value]:
    """Return the schema of a file, by the names that fields have in it."""
    return model.model_json_schema(schema_generator=_Plain, by_alias=True)
