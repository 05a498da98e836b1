"""The likeliest reason why a clause does not hold: another type, other case, a value nobody has sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from unicodedata import normalize

import orjson

from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.verdicts import Clause
from pipeline.model.json import Value, leaves
from pipeline.model.records import MISSING

UNKNOWN: Final = "nothing had said it of this user by then"
_CONVERTED: Final = re.compile(r'\{.*?"(?:as":"(\w+)"|before":|after":)')
_OF_TEXTS: Final = re.compile(r'\{.*?"(?:starts_with|ends_with|contains|glob|regex)":')
_SHOWN: Final = 200
"""Characters of a value."""
_NUMBER: Final = re.compile(r"\s*-?\d+(?:\.\d+)?\s*")


@dataclass(slots=True, frozen=True)
class Told:
    """A clause as people and programs read it."""

    depth: int
    """Clauses of a group stand one deeper, right after it."""
    clause: str
    """As a person would write it."""
    path: str | None
    """The path that was read; None for groups."""
    holds: bool
    value: Value = None
    """The value at the path."""
    missing: bool = False
    """True: there was nothing at the path."""
    advice: str | None = None
    """The likeliest reason why it does not hold."""

    @classmethod
    def of(cls, clause: Clause) -> Told:
        """Return a clause with what it saw, and with advice."""
        missing = clause.seen is MISSING
        value = None if missing else clause.seen
        return cls(clause.depth, clause.text, clause.path, clause.holds, value, missing, advice(clause))

    def to_json(self) -> dict[str, Value]:
        """Return what is known; no value where there was none."""
        told = {"depth": self.depth, "clause": self.clause, "path": self.path, "holds": self.holds}
        seen = {} if self.missing else {"value": self.value}
        return {**told, **seen, **({} if self.advice is None else {"advice": self.advice})}


def culprit(clauses: Iterable[Mapping[str, Any]]) -> str:
    """Return the first clause that does not hold, with what it saw: of a group its first such part, of `not`
    what holds. "": all hold. clauses: see `Told.to_json`.
    """
    depth, group = 0, ""
    for one in clauses:
        if one["depth"] < depth:
            break
        if one["depth"] > depth or one["holds"] is (group != "not"):
            continue
        text = f"not {one['clause']}" if group == "not" else str(one["clause"])
        if one["path"] is None:
            if group == "not" or text.startswith("exclude: "):
                return text
            depth, group = depth + 1, text
        elif "value" not in one:
            return f"{text} is missing"
        else:
            return f"{text} is {orjson.dumps(one['value'], default=str).decode()[:_SHOWN]}"
    return group


def advice(clause: Clause) -> str | None:
    """Return what to look at where a clause does not hold; None where it holds, or nothing stands out."""
    if clause.holds or clause.path is None:
        return None
    seen = clause.seen
    if seen is MISSING:
        if clause.near is not None:
            return clause.near
        if clause.path.startswith("user.properties"):
            return UNKNOWN
        return None
    if (unread := _unread(clause.text, seen)) is not None:
        return unread
    if '"as":' in clause.text or '"ignore_case":' in clause.text:
        return None  # covered by the config's author
    wanted = [one for _, one in leaves(clause.operand)]
    if '"eq":[' in clause.text and seen in wanted:
        return "a list after `eq` is one array: `in` takes any of its values"
    if isinstance(seen, list) and '"contains":' in clause.text:
        parts = [one for one in wanted if isinstance(one, str)]
        if any(part in one for one in seen if isinstance(one, str) for part in parts):
            return "`contains` compares whole elements of an array: {regex: ..} looks inside them"
        return None
    if isinstance(seen, str):
        return _of_text(seen, wanted, is_name=clause.path == "event.name")
    return _of_no_text(seen, wanted, clause) if isinstance(seen, bool | int | float) else None


def _unread(text: str, seen: Value) -> str | None:
    """Return that a value cannot be converted, which makes it count as missing; None where it can."""
    found = _CONVERTED.search(text)
    name = None if found is None else found[1] or "date"
    conversion = CONVERSIONS.get(name) if name is not None else None
    if conversion is None or isinstance(seen, list) or conversion.value(seen, None) is not MISSING:
        return None
    kind = {"weekday": "a date", "hour": "a date", "ip": "an IP address"}.get(conversion.name)
    return f"it cannot be read as {kind or f'a {conversion.name}'}, and so counts as missing"


def _of_text(seen: str, wanted: list[Value], *, is_name: bool) -> str | None:
    if any(isinstance(one, int | float) and not isinstance(one, bool) for one in wanted):
        return "it is a text and no number: `as: number` converts it" if _NUMBER.fullmatch(seen) else None
    if any(one is True or one is False for one in wanted):
        return "it is a text: put true or false into quotes" if seen in ("true", "false") else None
    alike = [one for one in wanted if isinstance(one, str) and _plain(one) == _plain(seen)]
    if any(one.casefold() == seen.casefold() for one in alike):
        return "each letter counts" if is_name else "each letter counts: `ignore_case: true` takes both"
    if any(one.strip().casefold() == seen.strip().casefold() for one in alike):
        return "blanks at the begin and end count: one of the two has some"
    if any(normalize("NFKC", one).casefold() == normalize("NFKC", seen).casefold() for one in alike):
        return "it looks the same, but its characters are others: copy it from the event"
    return "blanks, `-` and `_` count: they differ in them" if alike else None


def _of_no_text(seen: float, wanted: list[Value], clause: Clause) -> str | None:
    """Return what to look at where a number, true or false is compared with texts."""
    if isinstance(clause.operand, dict) and "file" in clause.operand:
        return "the entries of a file are texts, and it is none: `as: text` makes it one"
    if _OF_TEXTS.search(clause.text) is not None:
        return "it is no text: `as: text` makes it one"
    written = str(seen).lower() if isinstance(seen, bool) else f"{seen:g}"
    if any(isinstance(one, str) and one.strip().lower() in (written, str(seen)) for one in wanted):
        kind = "true or false" if isinstance(seen, bool) else "a number"
        return f"it is {kind} and no text: leave out the quotes"
    return None


def _plain(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", normalize("NFKC", text).strip()).casefold()
