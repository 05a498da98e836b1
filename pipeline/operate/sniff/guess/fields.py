"""Records as tables: which paths there are, and the values found there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

import orjson

from pipeline.decode.raw.fields import Headers
from pipeline.language.path_syntax import PathError
from pipeline.language.record_paths import parse_record_path
from pipeline.model.json import Json, Value
from pipeline.operate.sniff.guess.words import bare

_DEPTH: Final = 4
_MOST_FIELDS: Final = 200
_MOST_ELEMENTS: Final = 40
_LONGEST_TEXT: Final = 20_000
_TYPES: Final = frozenset(
    {"$oid", "$date", "$numberLong", "$numberDecimal", "S", "N", "string", "long", "stringValue", "intValue"}
)
"""How MongoDB, DynamoDB, Avro's JSON and others wrap a value."""
_PLAIN: Final = re.compile(r"[\w$-]+")


@dataclass(slots=True, frozen=True)
class Ref:
    """A place in a record, as a shape file writes it."""

    parts: tuple[str | int, ...]
    up: int = 0
    """Levels above the element that `each` has entered."""
    inside: Ref | None = None
    """The text in whose embedded JSON it is a place."""
    root: str = ""
    """``message`` or ``each`` for places outside the record."""

    @property
    def last(self) -> str:
        """The normalised name of the field; for a type wrapper (`{"$oid": ..}`) that of its parent."""
        parts = self._named
        return bare(parts[-1]) if parts else "" if self.inside is None else self.inside.last

    @property
    def holder(self) -> str:
        """The normalised name of the object that holds it."""
        parts = self._named
        if len(parts) > 1:
            return bare(parts[-2])
        return "" if self.inside is None else self.inside.last

    @property
    def _named(self) -> tuple[str | int, ...]:
        return self.parts[:-1] if len(self.parts) > 1 and self.parts[-1] in _TYPES else self.parts

    @property
    def above(self) -> Ref:
        """The object that holds it."""
        return Ref(self._named[:-1], self.up, self.inside, self.root)

    @property
    def top(self) -> str | None:
        """The field of the record, or of the element, with which the path begins."""
        if self.inside is not None:
            return self.inside.top
        return self.parts[0] if self.parts and isinstance(self.parts[0], str) and self.is_own else None

    @property
    def is_own(self) -> bool:
        """Whether it is in the record, or in the element that `each` has entered."""
        return not self.up and not self.root

    def is_in(self, above: Ref) -> bool:
        """Return whether its path goes on where another one ends."""
        size = len(above.parts)
        return len(self.parts) > size and self.parts[:size] == above.parts

    @property
    def depth(self) -> int:
        """The number of steps."""
        return len(self.parts) + (0 if self.inside is None else self.inside.depth)

    def child(self, part: str | int) -> Ref:
        """Return a place inside it."""
        return Ref((*self.parts, part), self.up, self.inside, self.root)

    def source(self) -> Value:
        """Return it as written in a shape file."""
        if self.inside is None:
            return _text(self)
        held = self.inside.source()
        return {"json": held, "path": _text(Ref(self.parts))} if self.parts else {"json": held}


@lru_cache(4096)
def _text(ref: Ref) -> str:
    text = "^" * ref.up if ref.up else ref.root
    for part in ref.parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN.fullmatch(part) and (text or part not in ("message", "each")):
            text += f".{part}" if text else part
        else:
            text += f"[{orjson.dumps(part).decode()}]"
    return text or "."


@lru_cache(4096)
def can_be_said(ref: Ref) -> bool:
    """Return whether a path can say it: some names cannot be spelled, or mean something else there."""
    if ref.inside is not None and not can_be_said(ref.inside):
        return False
    text = _text(ref if ref.inside is None else Ref(ref.parts))
    if len(text) > 120 or not text.isprintable() or "${" in text or "{{" in text:
        return False
    try:
        return parse_record_path(text, 2).parts == ref.parts
    except PathError:
        return False


Row = dict[Ref, Json]


@dataclass
class View:
    """Records, or the elements of a list in each of them, one row each."""

    each: str | None = None
    called: str = ""
    """The name of the list."""
    rows: list[Row] = field(default_factory=list)
    of: list[int] = field(default_factory=list)
    """For each row, the number of its record."""

    def part(self, wanted: Sequence[int]) -> View:
        """Return the view of some of its rows."""
        return View(self.each, self.called, [self.rows[at] for at in wanted], [self.of[at] for at in wanted])

    @cached_property
    def columns(self) -> dict[Ref, list[Json]]:
        """The values at each place; null and empty text are left out. Call it once all rows are there."""
        found: dict[Ref, list[Json]] = {}
        for row in self.rows:
            for ref, value in row.items():
                if value is not None and value != "":
                    found.setdefault(ref, []).append(value)
        return found


@dataclass(slots=True, frozen=True)
class Around:
    """The message around a record."""

    key: Json = None
    headers: Headers | None = None


def flat(value: Json, at: Ref, row: Row, depth: int = _DEPTH) -> None:
    """Add a value to a row, with the contents of objects and lists."""
    if at.parts or at.inside is not None:
        row[at] = value
    if depth == 0 or len(row) > _MOST_FIELDS:
        return
    if type(value) is dict:
        for name, inner in value.items():
            ref = at.child(name)
            if can_be_said(ref):
                flat(inner, ref, row, depth - 1)
    elif type(value) is list and not at.parts:
        for index, inner in enumerate(value[:8]):
            flat(inner, at.child(index), row, 1)
    elif type(value) is str and value[:1] == "{" and len(value) < _LONGEST_TEXT and at.inside is None:
        try:
            held: Json = orjson.loads(value)
        except orjson.JSONDecodeError:
            return
        inside = Ref((), inside=at)
        flat(held, inside, row, depth)


def base_view(records: Sequence[Json], around: Sequence[Around]) -> View:
    """Return a row for each record, including its message."""
    view = View()
    for number, (record, message) in enumerate(zip(records, around, strict=True)):
        row: Row = {}
        flat(record, Ref(()), row)
        _add_message(message, row)
        view.rows.append(row)
        view.of.append(number)
    return view


def _add_message(message: Around, row: Row) -> None:
    if type(message.key) is dict:
        flat(message.key, Ref(("key",), root="message"), row, 2)
    elif message.key is not None:
        row[Ref(("key",), root="message")] = message.key
    for name, raw in message.headers or ():
        ref = Ref(("headers", name), root="message")
        if raw is not None and can_be_said(ref):
            row[ref] = raw.decode("utf-8", "replace")


def element_views(records: Sequence[Json]) -> Iterator[View]:
    """Yield the views of the lists of objects (or of lists) in records, nested ones too."""
    for path in _lists(records):
        outer = View(_each(path), str(path[-1]))
        inner: dict[str, View] = {}
        for number, record in enumerate(records):
            up: Row = {}
            flat(record, Ref((), up=1), up, 2)
            for element in _elements(_at(record, path)):
                row: Row = {}
                flat(element, Ref(()), row, 3)
                outer.rows.append(row | _without(up, path))
                outer.of.append(number)
                for name, held in element.items() if type(element) is dict else ():
                    if not (type(held) is list and held and type(held[0]) is dict):
                        continue
                    view = inner.setdefault(name, View(_each(path) + _each((name,), "."), name))
                    above: Row = {}
                    flat(record, Ref((), up=2), above, 2)
                    flat(element, Ref((), up=1), above, 2)
                    for one in _elements(held):
                        row = {}
                        flat(one, Ref(()), row, 3)
                        view.rows.append(row | above)
                        view.of.append(number)
        yield outer
        yield from inner.values()


def _without(row: Row, path: tuple[str, ...]) -> Row:
    return {ref: value for ref, value in row.items() if ref.parts[: len(path)] != path}


def _each(path: tuple[str, ...], before: str = "") -> str:
    text = _text(Ref(path))
    return (before if not text.startswith("[") else "") + text + "[*]"


def _at(record: Json, path: tuple[str, ...]) -> Json:
    for name in path:
        record = record.get(name) if type(record) is dict else None
    return record


def _elements(held: Json) -> list[Json]:
    return held[:_MOST_ELEMENTS] if type(held) is list else []


def _lists(records: Sequence[Json]) -> list[tuple[str, ...]]:
    """Return the places of lists of objects or of lists that at least a fifth of the records have."""
    found: dict[tuple[str, ...], int] = {}
    for record in records:
        for path, held in _listed(record, ()):
            if type(held[0]) in (dict, list) and can_be_said(Ref(path)):
                found[path] = found.get(path, 0) + 1
    return [path for path, count in found.items() if count * 5 >= len(records)][:8]


def _listed(value: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Json]]]:
    if type(value) is dict and len(path) < 3:
        for name, inner in value.items():
            if type(inner) is list and inner:
                yield (*path, name), inner
            elif type(inner) is dict:
                yield from _listed(inner, (*path, name))
