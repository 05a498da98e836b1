"""The schemas of conditions and bodies, built from the tables that the compilers read."""

from __future__ import annotations

from typing import Final

from pipeline.language.path_syntax import EVENT_ROOTS, FIELDS, OPEN_FIELDS
from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.operators.table import MODIFIERS, OPERATORS, Operator
from pipeline.model.json import Value
from pipeline.operate.schemas.records import record_definitions
from pipeline.render.keys import DIRECTIVES

GROUPS: Final = ("all", "any", "not", "any_element", "label")
ROOTS: Final = {
    "Condition": EVENT_ROOTS,
    "ItemCondition": (*EVENT_ROOTS, "item", "index"),
    "ResponseCondition": ("response", "vars"),
}
"""The kinds of conditions, and the roots of their paths."""
_TEMPLATE: Final = r"\{\{|\{%|(?:^|[^$])\$\{(?:[A-Za-z_][A-Za-z0-9_]*(?::-[^}]*)?|file:[^}]+)\}"
"""Allowed in values, not in keys."""


def ref(name: str) -> Value:
    """Return the reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def said(field: str, **value: Value) -> Value:
    """Return the schema of an object that has a field, with such a value."""
    return {"required": [field], "properties": {field: value}}


def definitions() -> dict[str, Value]:
    """Return the definitions of conditions, of the operators on a path, and of bodies."""
    found: dict[str, Value] = {"Operand": _PATH, "Operators": _operators(), "Said": _said()}
    for name, roots in ROOTS.items():
        found |= _condition(name, _paths(roots))
    # Inside `any_element` every name is a path that starts at the element.
    found |= _condition("ElementCondition", f"^(?!(?:{'|'.join(GROUPS)})$).+")
    found |= _condition("RecordCondition", f"^(?!(?:{'|'.join(GROUPS)})$).+")
    found["Body"] = _body()
    return found | record_definitions()


def _paths(roots: tuple[str, ...]) -> str:
    """Return the pattern of the paths that start at these roots."""
    parts: list[str] = []
    for root in roots:
        fields = FIELDS.get(root)
        if fields is None:
            parts.append(rf"{root}(?:[.\[].+)?")
            continue
        closed = [field for field in fields if field not in OPEN_FIELDS]
        opened = [field for field in fields if field in OPEN_FIELDS]
        parts.append(rf"{root}\.(?:{'|'.join(closed)})")
        parts.append(rf"{root}\.(?:{'|'.join(opened)})(?:[.\[].+)?")
        parts.append(rf"{root}(?:\[.+)?")
    return f"^(?:{'|'.join(parts)})$"


def _some(items: Value) -> Value:
    return {"type": "array", "minItems": 1, "items": items}


def _condition(name: str, paths: str) -> dict[str, Value]:
    some = _some(ref(name))
    either = {"anyOf": [ref(f"{name}Map"), some]}
    in_element = {"anyOf": [ref("Operators"), ref("ElementCondition")]}
    text = {"type": "string"}
    groups: dict[str, Value] = {
        "all": {"description": "All of these hold.", **either},
        "any": {"description": "At least one of these holds.", **either},
        "not": {
            "description": "This does not hold.",
            "anyOf": [ref(f"{name}Map"), {**some, "maxItems": 1}],
        },
        "any_element": {
            "description": "One and the same element of the array at the path fulfils all of these.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"anyOf": [in_element, _some(in_element)]},
        },
        "label": {"description": "The label holds (any of several).", "anyOf": [text, _some(text)]},
    }
    return {
        name: {"title": "condition", **either},
        f"{name}Map": {
            "type": "object",
            "minProperties": 1,
            "properties": groups,
            "patternProperties": {paths: ref("Said")},
            "additionalProperties": False,
        },
    }


def _text_in(field: str, description: str, **more: Value) -> Value:
    """An object with one field, a text."""
    return {
        "type": "object",
        "properties": {field: {"type": "string", **more, "description": description}},
        "required": [field],
        "additionalProperties": False,
    }


_SETTING: Final = "A plain setting, `${NAME}`: its value is put in at load."
_SET: Final[Value] = _text_in("setting", _SETTING, pattern=r"\$\{")
_PATH: Final[Value] = {"anyOf": [_text_in("path", "Another path, whose value is meant."), _SET]}
_VAR: Final[Value] = _text_in("path", "A var, whose pattern is meant.", pattern=r"^vars\b")
_FILE: Final[Value] = _text_in("file", "A list file, one entry per line.")


def _said() -> Value:
    """What may follow a path: a value, a list of values, or operators."""
    return {
        "title": "a value, a list, or operators",
        "anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "minItems": 1},
            ref("Operand"),
            _FILE,
            ref("Operators"),
        ],
    }


def _operators() -> Value:
    properties: dict[str, Value] = {
        name: {"description": f"{operator.meaning} ({operator.operand})", **_operand(operator)}
        for name, operator in OPERATORS.items()
    }
    properties["as"] = {"description": MODIFIERS["as"], "enum": list(CONVERSIONS)}
    properties["ignore_case"] = {"description": MODIFIERS["ignore_case"], "type": "boolean"}
    properties["tz"] = {"description": MODIFIERS["tz"], "type": "string"}
    zoned = [name for name, conversion in CONVERSIONS.items() if conversion.zoned]
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "anyOf": [{"required": [name]} for name in OPERATORS],
        "allOf": [
            *(_after(name) for name in CONVERSIONS),
            {
                "if": {"required": ["tz"]},
                "then": {
                    "anyOf": [said("as", enum=zoned), {"required": ["before"]}, {"required": ["after"]}]
                },
            },
            {
                "if": said("ignore_case", const=True),
                "then": {
                    "propertyNames": {"enum": _names(lambda one: one.cased)},
                    "properties": {"as": {"enum": ["text", "domain"]}},
                },
            },
        ],
    }


def _names(fits: Value) -> list[str]:
    """Return the matching operators, those that always match, and the modifiers."""
    return [name for name, one in OPERATORS.items() if one.wants == "flag" or fits(one)] + list(MODIFIERS)


def _after(name: str) -> Value:
    """Operators that may stand beside a conversion."""
    conversion = CONVERSIONS[name]

    def fits(one: Operator) -> bool:
        return name == "date" if one.wants == "date" else one.name in conversion.operators

    return {
        "if": said("as", const=name),
        "then": {"propertyNames": {"enum": _names(fits)}},
    }


def _operand(operator: Operator) -> dict[str, Value]:
    path = ref("Operand")
    scalar = {"anyOf": [{"type": ["string", "number"]}, path]}
    match operator.wants:
        case "flag":
            return {"type": "boolean"}
        case "order" | "date":
            return scalar
        case "range":
            return {"type": "array", "minItems": 2, "maxItems": 2, "items": scalar}
        case "list":
            return {"anyOf": [{"type": "array", "minItems": 1}, _FILE, path]}
        case "element":
            return {"not": {"type": "array", "maxItems": 0}}
        case "text":
            text: Value = {"type": "string"}
            some: list[Value] = [text, _VAR, _SET] if operator.name in ("glob", "regex") else [text, path]
            return {"anyOf": [*some, _some({"anyOf": some})]}
    return {}


def _body() -> Value:
    """A body: any tree, with directives in their places."""
    inside = ref("Body")
    return {
        "title": "body",
        "anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": inside},
            {
                "type": "object",
                "properties": {
                    "$if": {"description": "The rest is included where this holds.", **ref("ItemCondition")},
                    "$then": {"description": "What stands here where `$if` holds.", **inside},
                    "$else": {"description": "What stands here where it does not.", **inside},
                    "$for": {
                        "description": "The rest is repeated for each `item` of this expression.",
                        "type": "string",
                    },
                    "$do": {"description": "What is repeated, where it is no map.", **inside},
                    "$spread": {
                        "description": "An expression whose keys are copied here, or a list of them."
                    },
                },
                "propertyNames": {"not": {"pattern": _TEMPLATE}},
                "additionalProperties": inside,
                "dependentSchemas": {
                    "$then": {"required": ["$if"], "propertyNames": {"enum": ["$if", "$then", "$else"]}},
                    "$do": {"required": ["$for"], "propertyNames": {"enum": ["$for", "$do"]}},
                    "$else": {"required": ["$if"]},
                    "$for": {"minProperties": 2},
                    "$if": {"minProperties": 2},
                },
            },
        ],
    }


assert set(_body()["anyOf"][2]["properties"]) == set(DIRECTIVES)
