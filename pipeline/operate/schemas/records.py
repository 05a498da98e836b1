"""The schemas of forms: what custom shapes allow in place of a path (LANGUAGE 9)."""

from __future__ import annotations

from typing import Final

from pipeline.decode.mapped.objects import TEXTS
from pipeline.decode.mapped.values.forms import MAINS, WORDS
from pipeline.model.json import Value

_TEXT: Final = {"type": "string", "minLength": 1}
_ANY_SOURCE: Final = {"$ref": "#/$defs/Source"}
_BESIDE: Final[dict[str, Value]] = {
    "find": {"type": "string", "description": "RE2 with one group: what it finds is the value."},
    "lower": {"type": "boolean", "description": "In lower case."},
}


def _form(description: str, required: str, **properties: Value) -> dict[str, Value]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [required],
        "additionalProperties": False,
    }


_FORMS: Final[list[Value]] = [
    _form("A constant.", "text", text={"type": ["string", "number", "boolean"]}),
    _form("A path, and what is made of its text.", "path", path=_ANY_SOURCE, **_BESIDE),
    _form(
        "Texts put together; missing if a part is.",
        "join",
        join={"type": "array", "minItems": 1, "items": _ANY_SOURCE},
        **{"with": {"type": "string"}, **_BESIDE},
    ),
    _form("A text that is JSON, and a path in it.", "json", json=_ANY_SOURCE, path=_TEXT, **_BESIDE),
    _form(
        "An object made of a list of pairs.", "pairs", pairs=_ANY_SOURCE, key=_ANY_SOURCE, value=_ANY_SOURCE
    ),
]
_ZONE: Final = {"type": "string", "examples": ["Europe/Berlin"]}
_IS_FORM: Final[dict[str, Value]] = {
    "propertyNames": {"enum": sorted(WORDS)},
    "anyOf": [{"required": [word]} for word in MAINS],
}
"""A map that has words of forms alone is a form, or none at all."""
_ANY_OBJECT: Final[dict[str, Value]] = {
    **_ANY_SOURCE,
    "not": {"type": "object", "anyOf": [{"required": [word]} for word in TEXTS]},
}
_NAMED: Final[dict[str, Value]] = {
    "type": "object",
    "description": "Name to value.",
    "not": _IS_FORM,
    "additionalProperties": {"$ref": "#/$defs/RecordMember"},
}


def record_definitions() -> dict[str, Value]:
    """Return the definitions of sources, times and objects."""
    listed = {"type": "array", "minItems": 1, "items": _ANY_SOURCE, "description": "The first that is set."}
    timed = {key: one for form in _FORMS for key, one in form["properties"].items() if key != "path"}
    timed = {**timed, "path": _ANY_SOURCE}

    def of_time(description: str, required: str, **properties: Value) -> Value:
        return {**_form(description, required, **properties, **timed), "anyOf": _IS_FORM["anyOf"]}

    return {
        "Source": {"title": "path or form", "anyOf": [_TEXT, listed, *_FORMS]},
        "NameSource": {
            "title": "path or form",
            **_ANY_SOURCE,
            "not": _form("No text.", "text", text={"type": "boolean"}),
        },
        "RecordTime": {
            "title": "time",
            "anyOf": [
                _ANY_SOURCE,
                of_time("A unix time.", "unit", unit={"enum": ["s", "ms", "us", "ns"]}),
                of_time("A text in a format of strptime.", "format", format=_TEXT, zone=_ZONE),
                of_time("A time of a zone, where it names none.", "zone", zone=_ZONE),
                {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/RecordTime"}},
            ],
        },
        "RecordObject": {"title": "object", "anyOf": [_ANY_OBJECT, _NAMED]},
        "RecordMember": {"title": "value", "anyOf": [_ANY_SOURCE, _NAMED]},
        "Deletion": {"title": "true or path", "anyOf": [{"type": "boolean"}, _ANY_SOURCE]},
    }
