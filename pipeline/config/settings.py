"""The settings of a job one by one, safe to show: each with its value and its origin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, get_args

import orjson
from pydantic import BaseModel, WithJsonSchema

from pipeline.config.collected import masked_collect
from pipeline.config.formats import is_registry_secret
from pipeline.config.models.field_types import fields_of, is_section
from pipeline.config.models.installation.source import JsonlSource, KafkaSource
from pipeline.config.models.shape import InlineShape
from pipeline.config.models.validate import submodel
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.language import units
from pipeline.model.json import Value

COLLECT = "collect"
_SECRET_FIELDS = ("password", "secret", "key", "token", "jaas", "credential", "oauth", "user.info")
_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")


class Setting(NamedTuple):
    """One value of the job's config."""

    name: str
    value: Value
    origin: str
    """``config/pipeline.yaml:3``, ``environment HOOKLINE_SHARDS``, ``flag --shards``, ``default``; or
    ``collect``, for what is read where no source is named."""
    written: str
    """The value as written in a file: ``72h`` for 259200.0 seconds, ``4GiB``; else as JSON, a
    text as it is."""


def settings_of(section: object, origin: Callable[[KeyPath], str], prefix: KeyPath = ()) -> Iterator[Setting]:
    """Yield every value of a section and its nested ones, by dotted name; ``origin`` returns its origin."""
    for name, attribute, info in fields_of(type(section)):
        path, value = (*prefix, name), getattr(section, attribute)
        if is_section(type(value)) and not isinstance(value, InlineShape):
            yield from settings_of(value, origin, path)
        elif value is not None or submodel(info.annotation) is None:
            plain = masked_collect(path, _plain(value))
            shown = "***" if is_registry_secret(path) and name != "username" else _masked(plain)
            written = _written(shown, [*info.metadata, info.annotation])
            yield Setting(".".join(map(str, path)), shown, origin(path), written)


def settings_followed(source: JsonlSource | KafkaSource) -> Iterator[Setting]:
    """Yield what a job without a source reads, as settings of `source` that come from ``collect``."""
    kind = "jsonl" if isinstance(source, JsonlSource) else "kafka"
    said = {
        name for name, attribute, info in fields_of(type(source))
        if getattr(source, attribute) != info.get_default(call_default_factory=True)
    }  # fmt: skip
    for setting in settings_of(source, lambda path: COLLECT, ("source", kind)):
        if setting.name.rpartition(".")[2] in said:
            yield setting


_NOTATIONS: dict[str, Callable[[Any], str]] = {
    "duration": units.show_duration, "duration or ever": units.show_duration, "rate": units.show_rate,
    "size": units.show_size,
}  # fmt: skip
"""By the title that the schema has for a kind of field."""


def _written(value: Value, kinds: list[Any]) -> str:
    if isinstance(value, str):
        return value
    while kinds and isinstance(value, (int, float)) and not isinstance(value, bool):
        kind = kinds.pop()
        schema = (kind.json_schema or {}) if isinstance(kind, WithJsonSchema) else {}
        if show := _NOTATIONS.get(schema.get("title", "")):
            return show(value)
        kinds += get_args(kind)
    return orjson.dumps(value).decode()


def _plain(value: Value) -> Value:
    """Return sections in lists and maps as plain data."""
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, exclude_none=True)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _masked(value: Value) -> Value:
    """Return a value for display: what looks like a password among free-form settings is hidden."""
    if isinstance(value, dict):
        return {
            key: "***" if any(word in key.lower() for word in _SECRET_FIELDS) else _masked(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    return _USERINFO.sub("", value) if isinstance(value, str) else value
