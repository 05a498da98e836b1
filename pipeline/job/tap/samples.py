"""Samples of what is read, and what they show: event names, and properties with types and examples.

Fifty records a second, at moving positions in their chunks. Counts here are counts of samples.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import orjson

from pipeline.decode.decode import decode
from pipeline.decode.formats import Formats
from pipeline.decode.shape import Shape
from pipeline.job.event_names import LONG_NAME, OTHERS
from pipeline.model.json import Value, as_utf8, kind_of
from pipeline.model.records import Event, Invalid, Origin, PropertyUpdate
from pipeline.model.times import format_iso
from pipeline.recording.native_lines import native_line
from pipeline.sources.chunk import Headers, RawChunk

MOST: Final = 1_000
BYTES: Final = 16 << 20
LARGE: Final = 64 * 1024
"""Of a larger record, with its key and headers, only origin and length are kept."""
EACH_SECS: Final = 0.02
"""Between two samples: a thousand of them cover at least the last nineteen seconds."""
AT_ONCE: Final = 50
"""After a silence so many are kept of one chunk: a few records that come together are all seen."""
NAMES: Final = 1_000
PROPERTIES: Final = 200
"""Per event name; five times as many for users."""
TYPES: Final = 6
MOST_PROPERTIES: Final = 20_000
"""Over all names."""
ASK_SECS: Final = 0.5
"""How long samples are decoded for one question; the next one continues."""
EXAMPLE: Final = 80
"""Characters of an example."""
_STEP: Final = 7919  # a prime: the position moves through chunks of any size


class Sample(msgspec.Struct, frozen=True, gc=False):
    """A record as it was read."""

    number: int
    at_ms: int
    origin: Origin
    line: bytes | None
    """None for a tombstone, and for a record too large to keep."""
    size: int
    shape: Shape
    received_at: int | None
    headers: Headers | None
    key: bytes | None
    fault: str | None


class Samples:
    """The ring buffer. Written by the worker, read by any thread."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.catalog = Catalog()
        self._clock = clock
        self._wall = wall
        self._ring: deque[Sample] = deque()
        self._bytes = 0
        self._next = 0.0
        self._number = 0
        self._lock = threading.Lock()

    def saw(self, raw: RawChunk, formats: Formats) -> None:
        """Keep as many records of a chunk as time has passed for since the last one."""
        now = self._clock()
        if now < self._next or not raw.lines:
            return
        begun = max(self._next, now - (AT_ONCE - 1) * EACH_SECS)
        count = min(len(raw.lines), int((now - begun) / EACH_SECS) + 1)
        self._next = begun + count * EACH_SECS
        first = self._number + 1
        for at in sorted(number * _STEP % len(raw.lines) for number in range(first, first + count)):
            self._keep(raw, at, formats)
        while len(self._ring) > MOST or self._bytes > BYTES:
            self._bytes -= _held(self._ring.popleft())

    def _keep(self, raw: RawChunk, at: int, formats: Formats) -> None:
        self._number += 1
        line = raw.lines[at]
        key = None if raw.keys is None else raw.keys[at]
        headers = None if raw.headers is None else raw.headers[at]
        size = len(line or b"")
        beside = _beside(key, headers)
        if size + beside > LARGE:
            size, line, key, headers = size + beside, None, None, None
        source = raw.sources if isinstance(raw.sources, str) else raw.sources[at]
        sample = Sample(
            self._number,
            self._wall(),
            Origin(source, raw.offsets[at]),
            line,
            size,
            formats.of(source, raw.parts[at] if isinstance(raw.parts, list) else raw.parts),
            None if raw.received is None else raw.received[at],
            headers,
            key,
            (raw.faults or {}).get(at),
        )
        self._ring.append(sample)
        self._bytes += _held(sample)

    def to_json(self, limit: int = MOST, event: str | None = None) -> list[dict[str, Value]]:
        """Return the samples, newest first, decoded; event: only those with an event of this name."""
        found: list[dict[str, Value]] = []
        until = self._clock() + ASK_SECS
        for sample in reversed(list(self._ring)):
            shown = _shown(sample)
            if event is None or any(one.get("name") == event for one in shown["records"]):
                found.append(shown)
            if len(found) >= limit or self._clock() > until:
                break
        return found

    def seen(self, names: list[str]) -> dict[str, Value]:
        """Return the names of events and the properties seen. names: all that came, even if in no sample."""
        until = self._clock() + ASK_SECS
        with self._lock:
            for sample in list(self._ring):
                if self._clock() > until:
                    break
                self.catalog.learn(sample)
            return self.catalog.to_json(names)


def _held(sample: Sample) -> int:
    return 300 + len(sample.line or b"") + _beside(sample.key, sample.headers)


def _beside(key: bytes | None, headers: Headers | None) -> int:
    return len(key or b"") + sum(100 + len(name) + len(value or b"") for name, value in headers or ())


def _records(sample: Sample) -> list[Event | PropertyUpdate | Invalid | Value]:
    if sample.fault is not None or (sample.line is None and sample.size):
        return []
    return list(
        decode(
            sample.line, format=sample.shape, origin=sample.origin, received_at=sample.received_at,
            headers=sample.headers, key=sample.key,
        )
    )  # fmt: skip


def _shown(sample: Sample) -> dict[str, Value]:
    records: list[Value] = []
    for record in _records(sample):
        if isinstance(record, Invalid):
            records.append({"invalid": record.reason})
        else:
            records.append(orjson.loads(native_line(record)))
    return {
        "number": sample.number,
        "at": format_iso(sample.at_ms),
        "origin": as_utf8(str(sample.origin)),
        "bytes": sample.size,
        "too_large": sample.line is None and sample.size > 0,
        "fault": sample.fault,
        "format": sample.shape.name,
        "line": None if sample.line is None else sample.line.decode("utf-8", "backslashreplace"),
        "records": records,
    }


class _Property:
    """What was seen of one property."""

    __slots__ = ("count", "example", "types")

    def __init__(self) -> None:
        self.count = 0
        self.types: dict[str, None] = {}
        self.example: Value = None

    def saw(self, value: Value) -> None:
        self.count += 1
        kind = kind_of(value).rpartition(" ")[2]
        if kind not in self.types and len(self.types) < TYPES:
            self.types[kind] = None
        if value is not None:
            self.example = _short(value)

    def to_json(self) -> dict[str, Value]:
        return {"count": self.count, "types": list(self.types), "example": self.example}


class _Name:
    """What was seen of the events of one name."""

    __slots__ = ("at_ms", "count", "properties")

    def __init__(self) -> None:
        self.count = 0
        self.at_ms = 0
        self.properties: dict[str, _Property] = {}


class Catalog:
    """Names and properties, bounded: the excess is counted as ``(others)``. Used by one thread at a time."""

    def __init__(self) -> None:
        self._names: dict[str, _Name] = {}
        self._user: dict[str, _Property] = {}
        self._properties = 0
        self._last = 0

    def learn(self, sample: Sample) -> None:
        """Add a sample, unless it was already added."""
        if sample.number <= self._last:
            return
        self._last = sample.number
        for record in _records(sample):
            if isinstance(record, Event):
                called = record.name
                if called not in self._names and (len(self._names) >= NAMES or len(called) > LONG_NAME):
                    called = OTHERS
                name = self._names.setdefault(called, _Name())
                name.count += 1
                name.at_ms = sample.at_ms
                self._learn(name.properties, record.properties, PROPERTIES)
            elif isinstance(record, PropertyUpdate):
                self._learn(self._user, {**record.set_once, **record.set}, 5 * PROPERTIES)

    def _learn(self, known: dict[str, _Property], properties: Mapping[str, Value], most: int) -> None:
        for name, value in list(properties.items())[:most]:
            if name not in known and (
                len(known) >= most or len(name) > LONG_NAME or self._properties >= MOST_PROPERTIES
            ):
                name = OTHERS
            if name not in known:
                self._properties += 1
                known[name] = _Property()
            known[name].saw(value)

    def to_json(self, names: list[str]) -> dict[str, Value]:
        """Return names with sampled counts, when each was seen last, and properties."""
        found: dict[str, Value] = {name: {"sampled": 0, "last_at": None, "properties": {}} for name in names}
        for name, one in self._names.items():
            found[name] = {
                "sampled": one.count,
                "last_at": format_iso(one.at_ms),
                "properties": {key: value.to_json() for key, value in one.properties.items()},
            }
        return {
            "events": found,
            "user_properties": {key: value.to_json() for key, value in self._user.items()},
        }


def _short(value: Value) -> Value:
    if isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text if len(text) <= EXAMPLE else f"{text[:EXAMPLE]}…"
