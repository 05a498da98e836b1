"""Proposes a shape file for records without a shape; compiled and tried on all of them before it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from pipeline.compile.shapes import compile_own
from pipeline.config.edit.writing import Writer
from pipeline.decode.raw.fields import Fields
from pipeline.decode.shape import Shape
from pipeline.model.errors import ConfigError
from pipeline.model.json import Json, Value
from pipeline.model.printable import one_line
from pipeline.model.records import PropertyUpdate, Record
from pipeline.operate.sniff.guess.entries import ShapeEntry, entries_of
from pipeline.operate.sniff.guess.fields import Around, base_view, element_views
from pipeline.operate.sniff.recognise import Recognised, first_reason, read_by

_MOST_STUDIED: Final = 250
"""Records examined for the meaning of fields; a proposal is tried on the whole sample."""
_ROUNDS: Final = 3
_SHOWN: Final = 5


@dataclass(slots=True)
class Proposal:
    """A working shape file, and what it makes of the records it was derived from."""

    name: str
    text: str
    records: int
    understood: int
    reasons: list[tuple[str, int, str]]
    """For unreadable records: the reason, how many have it, the place of the first."""
    first: list[tuple[str, list[Record]]]
    """The result of the first records of each kind, each with its place."""
    entries: list[dict[str, Value]] = field(default_factory=list)
    """How the fields were interpreted, per entry."""


_ALIKE: Final = 0.4


def apart(found: Sequence[Recognised]) -> list[list[Recognised]]:
    """Group unknown records by files and topics; those with nearly the same fields stay together."""
    groups: list[tuple[set[str], list[Recognised]]] = []
    by_part: dict[str, list[Recognised]] = {}
    for one in found:
        by_part.setdefault(one.sampled.part, []).append(one)
    for records in by_part.values():
        names = {name for one in records[:50] for record in _records(one.value) for name in record}
        for known, held in groups:
            if len(names & known) >= _ALIKE * len(names | known):
                known |= names
                held += records
                break
        else:
            groups.append((names, records))
    return sorted((held for _, held in groups), key=lambda held: -len(held))


def propose(found: Sequence[Recognised], name: str, stem: str, origin: str) -> Proposal | None:
    """Return a shape file for unknown records; None where none of them can be read.

    name: of the shape. stem: the name for a stream without event names. origin: for the first line.
    """
    entries: list[ShapeEntry] = []
    made: tuple[str, Shape] | None = None
    rest = list(found)
    for _ in range(_ROUNDS):
        more = _entries(rest, stem)
        if not more:
            break
        text = shape_text(name, [*entries, *more], origin)
        try:
            shape = compile_own(name, text)
        except ConfigError:
            break  # a proposal that does not work is not made
        still = [one for one in rest if first_reason(read_by(one.sampled, shape)) is not None]
        if len(still) == len(rest):
            break
        entries += more
        made, rest = (text, shape), still
        if len(rest) * 50 < len(found):
            break
    return None if made is None else _tried(name, *made, found, entries)


def _entries(found: Sequence[Recognised], stem: str) -> list[ShapeEntry]:
    records: list[Json] = []
    around: list[Around] = []
    for one in [*found[:50], *found[50 :: max(1, len(found) // _MOST_STUDIED)]]:
        for record in _records(one.value):
            records.append(record)
            around.append(_around(one))
    if not records:
        return []
    return entries_of([base_view(records, around), *element_views(records)], stem)


def _records(value: Json) -> list[Fields]:
    members = value if type(value) is list else [value]
    return [one for one in members if type(one) is dict]


def _around(one: Recognised) -> Around:
    key: Json = None
    if one.sampled.key is not None:
        try:
            key = one.sampled.key.decode()
            if key.startswith("{"):
                key = orjson.loads(key)
        except (UnicodeDecodeError, orjson.JSONDecodeError):
            pass
    return Around(key, one.sampled.headers)


def _kind(record: Record) -> str:
    gone = " gone" if isinstance(record, PropertyUpdate) and record.delete else ""
    return getattr(record, "name", type(record).__name__) + gone


def _tried(
    name: str, text: str, shape: Shape, found: Sequence[Recognised], entries: Sequence[ShapeEntry]
) -> Proposal:
    reasons: Counter[str] = Counter()
    places: dict[str, str] = {}
    first: list[tuple[str, list[Record]]] = []
    shown: set[tuple[str, ...]] = set()
    for one in found:
        records = read_by(one.sampled, shape)
        reason = first_reason(records)
        if reason is None:
            kinds = tuple(_kind(record) for record in records)
            if len(first) < _SHOWN and kinds not in shown:
                shown.add(kinds)
                first.append((one.sampled.place, records))
            continue
        reasons[reason] += 1
        places.setdefault(reason, one.sampled.place)
    told = [(reason, count, places[reason]) for reason, count in reasons.most_common()]
    understood = len(found) - sum(reasons.values())
    return Proposal(name, text, len(found), understood, told, first, [entry.told for entry in entries])


_WIDTH: Final = 80
_REMARK_AT: Final = 34
_flow: Final = Writer(None, "").inline


def shape_text(name: str, entries: Sequence[ShapeEntry], origin: str) -> str:
    """Return the file's text. origin: what it was made from, for the first line."""
    lines = [
        "# yaml-language-server: $schema=../schema/shape.json",
        f"# Proposed by `hookline sniff` from {one_line(origin)}.",
        "# Read it, and mend what it guessed wrong: docs/shapes.md has the language.",
        f"name: {_flow(name)}",
        "records:" + ("" if len(entries) < 2 else "  # the first entry that fits reads the record"),
    ]
    for entry in entries:
        lines += _entry(entry)
    return "\n".join(lines) + "\n"


def _entry(entry: ShapeEntry) -> list[str]:
    lines: list[str] = []
    for name, value in entry.fields.items():
        lead = "  - " if not lines else "    "
        if not isinstance(value, dict):
            lines.append(_remarked(f"{lead}{name}: {_flow(value)}", entry.remarks.get(("", name))))
            continue
        lines.append(_remarked(f"{lead}{name}:", entry.remarks.get((name, "when"))))
        for inner, source in value.items():
            text = f"      {inner}: {_flow(source)}"
            if len(text) > _WIDTH and isinstance(source, dict):
                lines.append(f"      {inner}:")
                lines += [f"        {_flow(key)}: {_flow(one)}" for key, one in source.items()]
            else:
                lines.append(_remarked(text, entry.remarks.get((name, inner))))
    return lines


def _remarked(line: str, remark: str | None) -> str:
    if not remark:
        return line
    beside = f"{line:<{_REMARK_AT}}  # {one_line(remark)}"
    if len(beside) <= _WIDTH or line.startswith("  - "):
        return beside
    indent = " " * (len(line) - len(line.lstrip()))
    return f"{indent}# {one_line(remark)}\n{line}"
