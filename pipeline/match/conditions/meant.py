"""What was probably meant by a part of a tree that is no condition: for hints."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from pipeline.language.path_syntax import PathError, parse_path
from pipeline.match.operators.synonyms import SYNONYMS, as_word
from pipeline.match.operators.table import OPERATORS
from pipeline.model.json import Value

_COMPARED: Final = re.compile(
    r"(?:\{\{)?\s*(?P<path>[\w$-]+(?:\.[\w$-]+|\[[^\[\]]*\])+)\s*(?:(?P<sign>[=!<>~]{1,3}|:|\b[a-z_]+\b)\s*"
    r"(?P<operand>[^\s{}][^{}]*?))?\s*(?:\}\})?"
)
"""`event.properties.plan == "pro"`, also in the braces of a template."""
_PLACES: Final = ("path", "field", "property", "attribute", "key", "name")
_WORDS: Final = ("op", "operator", "comparator", "comparison", "condition")
_OPERANDS: Final = ("value", "values")


def of_text(text: str, roots: Collection[str]) -> str | None:
    """Return the condition that a text says in another notation; None where it says none."""
    found = _COMPARED.fullmatch(text.strip()) if len(text) < 200 else None
    if found is None or not _is_path(found["path"], roots):
        return None
    path, operand = found["path"], found["operand"]
    if operand is None:
        return f"write {{{path}: {{exists: true}}}}"
    return _written(path, "eq" if found["sign"] == ":" else found["sign"], operand)


def of_parts(tree: dict[str, Value], roots: Collection[str]) -> str | None:
    """Return the condition that a map of a path, an operator and an operand says; None where it says none."""
    if not tree.keys() <= {*_PLACES, *_WORDS, *_OPERANDS}:
        return None
    path = next((tree[one] for one in _PLACES if one in tree), None)
    if len(tree) == 1 or type(path) is not str or not _is_path(path, roots):
        return None
    word = next((tree[one] for one in _WORDS if one in tree), "eq")
    operand = next((tree[one] for one in _OPERANDS if one in tree), "..")
    return _written(path, str(word), str(operand) if type(operand) in (str, int, float) else "..")


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
