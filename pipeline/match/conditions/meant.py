"""Guesses what was meant by a part of a tree that is not a condition; for hints."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from pipeline.language.path_syntax import FIELDS, OPEN_FIELDS, Path, PathError, key_step, parse_path
from pipeline.match.conditions.compiling import GROUPS
from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.operators.synonyms import REMEDIES, SYNONYMS, as_word
from pipeline.match.operators.table import MODIFIERS, OPERATORS
from pipeline.model.json import Value
from pipeline.model.words import did_you_mean

_COMPARED: Final = re.compile(
    r"(?:\{\{)?\s*(?P<path>[\w$-]+(?:\.[\w$-]+|\[[^\[\]]*\])+)\s*(?:(?P<sign>[=!<>~]{1,3}|:|\b[a-z_]+\b)\s*"
    r"(?P<operand>[^\s{}][^{}]*?))?\s*(?:\}\})?"
)
"""`event.properties.plan == "pro"`, also in the braces of a template."""
_PLACES: Final = ("path", "field", "property", "attribute", "key", "name")
_WORDS: Final = ("op", "operator", "comparator", "comparison", "condition")
_OPERANDS: Final = ("value", "values")


def of_text(text: str, roots: Collection[str]) -> str | None:
    """Return the condition that a text in another notation probably means; None where there is none."""
    found = _COMPARED.fullmatch(text.strip()) if len(text) < 200 else None
    if found is None or not _is_path(found["path"], roots):
        return None
    path, operand = found["path"], found["operand"]
    if operand is None:
        return f"write {{{path}: {{exists: true}}}}"
    return _written(path, "eq" if found["sign"] == ":" else found["sign"], operand)


def of_parts(tree: dict[str, Value], roots: Collection[str]) -> str | None:
    """Return the condition that a map of path, operator and operand probably means; None if none."""
    if not tree.keys() <= {*_PLACES, *_WORDS, *_OPERANDS}:
        return None
    path = next((tree[one] for one in _PLACES if one in tree), None)
    if len(tree) == 1 or type(path) is not str or not _is_path(path, roots):
        return None
    word = next((tree[one] for one in _WORDS if one in tree), "eq")
    operand = next((tree[one] for one in _OPERANDS if one in tree), "..")
    return _written(path, str(word), str(operand) if type(operand) in (str, int, float) else "..")


def an_operator(said: dict[str, Value]) -> str:
    """Return an example of the operator that a map of modifiers lacks."""
    beside = ", ".join(f"{name}: {'true' if one is True else one}" for name, one in said.items())
    kind = CONVERSIONS.get(str(said.get("as")))
    first = "gte" if kind is not None and "gte" in kind.operators else "eq"
    return f"for example {{{beside}, {first}: ...}}"


def of_list(values: list[Value]) -> str | None:
    """Return what a list such as ``[gte, 500]`` probably means; None where it is a list of values."""
    if len(values) != 2 or type(values[0]) is not str or type(values[1]) not in (int, float):
        return None
    name = as_word(values[0])
    operator = name if name in OPERATORS else SYNONYMS.get(name)
    if operator is None:
        return None
    return f"write {{{operator}: {values[1]}}}; values that are meant stand in {{in: [..]}}"


def instead_of(word: str, value: Value, path: Path) -> str:
    """Return the remedy for a word below a path that is not an operator."""
    bare = word.lstrip("$")
    first = value[0] if type(value) is list and value else value
    if bare in GROUPS and bare != "label" and type(first) is dict:
        inside = f"{{{path.text}: {'[...]' if bare == 'any_element' else '{...}'}}}"
        return (
            f"it stands above paths: write {bare}: {f'[{inside}, ...]' if bare in ('all', 'any') else inside}"
        )
    field = f"`{path.text}{key_step(bare)}`"
    key = as_word(bare)
    meant = key if key in OPERATORS else SYNONYMS.get(key)
    remedy = REMEDIES.get(key)
    if path.root in FIELDS and (not path.parts or (len(path.parts) == 1 and path.parts[0] in OPEN_FIELDS)):
        # A whole object: probably one of its fields is meant.
        meant = did_you_mean(bare, OPERATORS, 0.8)
        remedy = f"write {field}: conditions stand below the whole path of a field"
    elif meant is None and remedy is None:
        meant = did_you_mean(bare, [*OPERATORS, *MODIFIERS])
    if meant is not None:
        return f"did you mean `{meant}`?"
    if remedy is None and bare in GROUPS:
        return f"`{bare}` stands above paths, not below one"
    if remedy is not None:
        return remedy
    has_fields = path.root not in FIELDS or path.parts[0] in OPEN_FIELDS
    return (f"a field is {field}; " if has_fields else "") + f"operators are {', '.join(OPERATORS)}"


def _written(path: str, word: str, operand: str) -> str | None:
    name = as_word(word)
    operator = name if name in OPERATORS else SYNONYMS.get(name)
    if operator is None:
        return None
    if operator == "eq":
        return f"write {{{path}: {operand}}}"
    return f"write {{{path}: {{{operator}: {operand}}}}}"


def _is_path(text: str, roots: Collection[str]) -> bool:
    try:
        return bool(parse_path(text, roots).parts)
    except PathError:
        return False
