"""Field types shared by the models: durations, rates, sizes, a name or a list of names, ids.

Each carries its JSON Schema and the name under which the reference lists it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

from pipeline.language import units


class Section(BaseModel):
    """A part of a config file: unknown fields are errors, nothing is converted silently."""

    # Deferred: only the models of whole files ever check anything; building all takes twice as long.
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True, defer_build=True)


def checked(convert: Callable[[object], Any], code: str = "wrong-value") -> Callable[[object], Any]:
    """Turn a converter's ValueError into a problem with this code."""

    def validate(value: object) -> Any:
        try:
            return convert(value)
        except ValueError as error:
            # The message goes through a variable: braces in it are no format fields.
            raise PydanticCustomError(code, "{message}", {"message": str(error)}) from None

    return validate


def _ever(value: object) -> float | None:
    if value == "ever":
        return None
    try:
        return units.parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or `ever`") from None


def _names(value: object) -> object:
    return [value] if isinstance(value, str) else value


_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _id(value: object) -> str:
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise ValueError("an id is 1 to 64 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`")


def _schema(pattern: str, title: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "title": title, "examples": list(examples)})


_DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"

Duration = Annotated[
    float,
    BeforeValidator(checked(units.parse_duration)),
    _schema(_DURATION_PATTERN, "duration", "10s", "1.5h"),
]
"""Seconds, from ``500ms``, ``10s``, ``1.5h``, ``30d``."""

DurationOrEver = Annotated[
    float | None,
    BeforeValidator(checked(_ever)),
    _schema(r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d)|ever)$", "duration or ever", "24h", "ever"),
]
"""Seconds, or None for ``ever``."""

Rate = Annotated[
    float,
    BeforeValidator(checked(units.parse_rate)),
    _schema(r"^[0-9]+(\.[0-9]+)?\s*/\s*[smhd]$", "rate", "100/s", "60/m"),
]
"""How many per second, from ``100/s``, ``60/m``."""

Size = Annotated[
    int,
    BeforeValidator(checked(units.parse_size)),
    WithJsonSchema({"type": ["integer", "string"], "title": "size", "examples": [1000000, "1MB", "512KiB"]}),
]
"""Bytes, from a whole number or ``1MB``, ``512KiB``."""

Names = Annotated[
    list[str],
    BeforeValidator(_names),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "title": "name or list of names",
        }
    ),
]
"""One text or a list of texts; always a list afterwards."""

WebhookId = Annotated[
    str, BeforeValidator(checked(_id)), _schema(r"^[A-Za-z0-9._-]{1,64}$", "id", "big-purchase-to-slack")
]

Tree = Annotated[Any, WithJsonSchema({"title": "any value"})]
"""A value whose inside is checked by a compiler (conditions, bodies), not by a model."""

Conditions = Annotated[
    Any,
    WithJsonSchema(
        {
            "title": "condition",
            "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}],
        }
    ),
]
"""A condition: a map or a list of maps."""
