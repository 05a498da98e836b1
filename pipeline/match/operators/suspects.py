"""Texts in conditions that look like something else: compared literally, with a warning."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from pipeline.language.path_syntax import EVENT_ROOTS, PathError, parse_path
from pipeline.match.operators.synonyms import as_word
from pipeline.match.operators.table import OPERATORS, Operator

_JSON_NUMBER: Final = re.compile(r"\s*-?(0|[1-9][0-9]*)(\.[0-9]+)?\s*", re.ASCII)
_AMOUNT: Final = re.compile(
    r"[$€£]?(?P<sign>[+-]?)(?P<digits>[0-9]{1,3}(?:[,_][0-9]{3})+(?:\.[0-9]+)?|[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,2})?)"
    r"\s*[%$€£]?",
    re.ASCII,
)
"""A number in another notation: ``1_000``, ``1,000.50``, ``1e3``, ``.5``, ``$5``, ``10%``."""
_LOOKS: Final = (
    (
        re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*", re.ASCII),
        "a date",
        "use before or after, or add `as: date`",
    ),
    (re.compile(r"v?[0-9]+\.[0-9]+\.[0-9].*", re.ASCII), "a version", "add `as: version`"),
    (
        re.compile(r"now|[+-][0-9]+(\.[0-9]+)?(ms|[smhd])", re.ASCII),
        "a time relative to the event",
        "use before or after, or add `as: date`",
    ),
)
_WITH_UNIT: Final = re.compile(r"(?P<number>[+-]?[0-9][0-9.,_]*)\s*[^\W\d_]\D*")
"""``5x``, ``500 EUR``, ``3 GB``."""
_WORDS: Final = re.compile(r"[^\W\d_]{2,}\D*")
"""``abc``, ``five hundred``; single letters may be grades."""
_OPERATOR: Final = re.compile(
    r"\s*(?P<sign>>=|<=|!=|==|<>|[<>=]|(?:gte?|lte?|eq|ne)\s)\s*(?P<rest>\S.*)", re.ASCII | re.DOTALL
)
_SIGNS: Final = {
    ">=": "gte", "<=": "lte", "!=": "ne", "<>": "ne", "==": "eq", "=": "eq", ">": "gt", "<": "lt"
}  # fmt: skip
_COUNTABLE: Final = re.compile(r"[+-]?[0-9]")
_REGEX: Final = re.compile(r"(?!\*).*(?:\.[*+]|\\[dsw][*+{]|\][*+{]).*|\^.+\$", re.DOTALL)
"""A text with what only patterns have: ``foo.*``, ``\\d+``, ``[a-z]+``, ``^foo$``."""
_TEMPLATE: Final = re.compile(r"\{\{(?P<inside>[^{}]*)\}\}")
_SLASHED: Final = re.compile(r"/(?P<pattern>[^/]+)/(?P<flags>i|g|gi|ig|im|mi|gim)")
_BRACES: Final = re.compile(r"\{[^{},]*,[^{}]*\}")
_SEVERAL: Final = re.compile(r"[,|]")
_AS_OPERATORS: Final = {*OPERATORS, "prefix", "suffix", "anything_but", "numeric", "wildcard", "cidr"}
_LONGEST: Final = 1_000
"""Longer texts are taken to be meant."""
_SHORT: Final = 40
"""Characters of an amount."""


def looks_otherwise(operator: Operator, text: str, *, converted: bool) -> str | None:
    """Return a warning for a constant compared as text although it looks like something else."""
    if len(text) > _LONGEST:
        return None
    if operator.name == "regex":
        return _slashed(text)
    if operator.name == "glob":
        return _braced(text)
    found = _template(text) or _path(text) or _sign(operator, text) or _pattern(operator, text)
    found = found or _stars(operator, text)
    if found is None and operator.wants in ("any", "list"):
        found = _slashed(text)
    if found is None and operator.wants in ("order", "range") and not converted:
        return _measure(text)
    return found


def looks_like_operators(value: object) -> str | None:
    """Return a warning for `{gt: 5}` among the values of a list, as EventBridge writes conditions."""
    if type(value) is not dict or len(value) != 1:
        return None
    ((name, operand),) = value.items()
    if as_word(str(name).removeprefix("$")) not in _AS_OPERATORS:
        return None
    shown = f"{{{name}: {operand}}}"
    return f"`{shown}` in a list is an object, to be equal to: write `any:` with a condition for each"


def looks_like_list(name: str) -> tuple[str, str] | None:
    """Return the warning for a name that looks like several, and the remedy: ``Purchase, Refund``."""
    parts = [part.strip() for part in _SEVERAL.split(name)]
    if len(parts) < 2 or not all(parts):
        return None
    return f"`{name}` is one name here, as it is written", f"for several names write [{', '.join(parts)}]"


def _template(text: str) -> str | None:
    found = _TEMPLATE.search(text)
    if found is None:
        return None
    path = found["inside"].strip(" -") if len(found[0]) == len(text.strip()) else ""
    write = f"write {{path: {path}}}" if _is_path(path) else "another path's value is {path: ...}"
    return f'"{text}" is compared as it is written: conditions have no templates, {write}'


def _path(text: str) -> str | None:
    if text.count(".") < 2 or not _is_path(text):
        return None
    return f'"{text}" is a text here: for the value at that path write {{path: {text}}}'


def _is_path(text: str) -> bool:
    with suppress(PathError):
        return bool(parse_path(text, EVENT_ROOTS).parts)
    return False


def _sign(operator: Operator, text: str) -> str | None:
    """Return a warning for a text that begins with an operator but is compared as a whole."""
    if operator.wants not in ("any", "list", "order", "range", "date"):
        return None
    found = _OPERATOR.fullmatch(text)
    if found is None:
        return None
    sign, rest = found["sign"].strip(), found["rest"].strip()
    # `<b>` and `=)` are real texts; `> 5` is not.
    if (sign in ("<", ">", "=") or sign.isalpha()) and not _COUNTABLE.match(rest):
        return None
    meant = _SIGNS.get(sign, sign)
    return f'"{text}" is a text here, with its sign: did you mean {{{meant}: {rest}}}?'


def _stars(operator: Operator, text: str) -> str | None:
    if len(text) <= 2:
        return None
    if operator.wants in ("any", "list") and "*" in (text[0], text[-1]):
        return f'"{text}" is compared with its stars: for a pattern write {{glob: "{text}"}}'
    if operator.wants in ("text", "element") and "*" in (text[0], text[-1]):
        return f'"{text}" is sought with its stars: leave them out, or write {{glob: "{text}"}}'
    if operator.wants in ("any", "list", "element") and text[0] == text[-1] == "%":
        return f'"{text}" is compared with its signs: did you mean {{contains: "{text[1:-1]}"}}?'
    return None


def _pattern(operator: Operator, text: str) -> str | None:
    if operator.wants not in ("any", "list", "text", "element") or _REGEX.fullmatch(text) is None:
        return None
    return f'"{text}" stands for itself, with its signs: did you mean {{regex: "{text}"}}?'


def _measure(text: str) -> str | None:
    """Return a warning for a number, date, version or word that would be compared by its characters."""
    looks = f'"{text}" looks like {{}} but is a text, and texts compare by their characters: {{}}'.format
    if _JSON_NUMBER.fullmatch(text):
        return looks("a number", "write it without quotes, or add `as: number`")
    amount = _AMOUNT.fullmatch(text.strip()) if len(text) <= _SHORT else None
    if amount is not None:
        number = float(amount["sign"] + re.sub("[,_]", "", amount["digits"]))
        return looks(
            "a number", f"write {int(number) if abs(number) < 1e15 and number.is_integer() else number}"
        )
    for pattern, kind, remedy in _LOOKS:
        if pattern.fullmatch(text):
            return looks(kind, remedy)
    measured = _WITH_UNIT.fullmatch(text) if len(text) <= _SHORT else None
    if measured is not None:
        bare = measured["number"]
        return looks("a number with a unit", f"write {bare} for numbers, or add `as: text` for texts")
    if _WORDS.fullmatch(text):
        return (
            f'"{text}" is a text, and texts compare by their characters, never with numbers: add `as: text` '
            "if that is meant"
        )
    return None


def _slashed(text: str) -> str | None:
    found = _SLASHED.fullmatch(text)
    if found is None:
        return None
    case = ", ignore_case: true" if "i" in found["flags"] else ""
    return (
        f'"{text}" stands for itself, with its slashes: did you mean {{regex: "{found["pattern"]}"{case}}}?'
    )


def _braced(text: str) -> str | None:
    found = _BRACES.search(text)
    if found is None:
        return None
    several = ", ".join(
        f'"{text[: found.start()]}{one}{text[found.end() :]}"' for one in found[0][1:-1].split(",")
    )
    return f"`{found[0]}` is no alternative here, `*` and `**` alone are patterns: write glob: [{several}]"
