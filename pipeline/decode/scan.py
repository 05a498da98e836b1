"""Two-stage parsing: events that no webhook wants are recognised by a few fields and not parsed further.

``scan`` returns what ``decode`` and a filter would return, in the same order and with the same counts. The
first stage only ever answers "certainly a valid event that is not wanted"; every line it is not certain of
goes to ``decode``. It still checks what it skips as `decode` does: UTF-8, surrogates, nesting. One difference
is accepted: a number beyond a double (1e999) or beyond 64 bits in a field that nobody reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from pipeline.decode.builtin.cloudevents import is_binary
from pipeline.decode.decode import BY_NAME, decode
from pipeline.decode.formats import Formats
from pipeline.decode.glance.glance import Wants, names_native
from pipeline.decode.glance.lines import find_left, find_unusual
from pipeline.decode.glance.plain import plain_event
from pipeline.decode.raw.fields import Headers
from pipeline.decode.raw.sizes import long_id
from pipeline.decode.shape import Shape
from pipeline.language.formats import RECORDING
from pipeline.model.errors import InvalidRecord
from pipeline.model.integers import may_hold_long_integers
from pipeline.model.records import Envelope, Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record
from pipeline.model.sizes import KEPT_BYTES, USUAL, Sizes


class RawLines(Protocol):
    """The part of a chunk that ``scan`` needs (sources/chunk.py)."""

    sources: str | list[str]
    offsets: list[int]
    lines: list[bytes | None]
    received: list[int | None] | None
    headers: list[Headers | None] | None
    keys: list[bytes | None] | None
    faults: dict[int, str] | None
    parts: str | list[str | None] | None

    def run(self, begin: int, end: int) -> Self:
        """Return a slice of its lines."""


@dataclass(slots=True)
class Scanned:
    """The records of a chunk except unwanted events, and the counts of all, those included."""

    records: list[Record] = field(default_factory=list)
    read: int = 0
    """Members of envelopes count one each; so does an unreadable line."""
    events: int = 0
    updates: int = 0
    links: int = 0
    invalid: int = 0
    ignored: int = 0
    """Records that their shape says to leave out."""


NATIVE = frozenset({"auto", "native", RECORDING})
"""Shapes whose lines may be native: for these there is a look at half the cost."""

_KEPT_AGAIN = 1_024
"""Bytes of a line kept by its second and later dead letters: an envelope may yield a thousand."""


def scan(
    chunk: RawLines, *, format: str | Shape | Formats = "auto", wants: Wants, sizes: Sizes = USUAL
) -> Scanned:
    """Return the records of a chunk without the events that ``wants`` refuses, and the counts with them.

    About 1 us per refused native event. Lines of several formats are read in runs of one format, in order.
    Never raises for any input.
    """
    found = Scanned()
    if not isinstance(format, Formats):
        _scan(chunk, BY_NAME[format] if isinstance(format, str) else format, wants, sizes, found)
        return found
    for begin, end, shape in format.runs(chunk.sources, chunk.parts, len(chunk.lines)):
        run = chunk if end - begin == len(chunk.lines) else chunk.run(begin, end)
        _scan(run, shape, wants, sizes, found)
    return found


def _scan(chunk: RawLines, shape: Shape, wants: Wants, sizes: Sizes, found: Scanned) -> None:
    """Add the records of lines of one shape, and their counts."""
    if shape.by_headers is None:
        _scan_run(chunk, shape, shape, frozenset(), wants, sizes, found)
        return
    told = _all_told(shape, chunk.headers or [None] * len(chunk.lines))
    begin, lines = 0, len(told)
    while begin < lines:
        of, end = told[begin][0], begin + 1
        while end < lines and told[end][0] is of:
            end += 1
        odd = frozenset(at - begin for at in range(begin, end) if told[at][1])
        run = chunk if end - begin == lines else chunk.run(begin, end)
        _scan_run(run, of, shape, odd, wants, sizes, found)
        begin = end


def _all_told(shape: Shape, headers: Sequence[Headers | None]) -> list[tuple[Shape, bool]]:
    """Return the shape of each line by its headers, and whether only `decode` can read it."""
    assert shape.by_headers is not None
    found: list[tuple[Shape, bool]] = []
    before: Headers | None = ()
    last = shape, True
    for given in headers:
        # All lines of one request share them, except the first, which reports duplicates.
        said = given[1:] if given and given[0][0] == "hk-same" else given
        if said != before:
            before = said
            try:
                told = shape.by_headers(given)
                last = told.shape, not told.is_plain
            except InvalidRecord:
                last = shape, True  # `decode` reports what is wrong with them
        found.append(last)
    return found


def _scan_run(
    chunk: RawLines,
    shape: Shape,
    whole: Shape,
    odd: frozenset[int],
    wants: Wants,
    sizes: Sizes,
    found: Scanned,
) -> None:
    """Add the records of lines that one shape reads, and their counts.

    whole: the shape that decodes them, which may see more than the first look; odd: the lines where it does.
    """
    lines, sources, offsets, received = chunk.lines, chunk.sources, chunk.offsets, chunk.received
    headers, keys, faults = chunk.headers, chunk.keys, chunk.faults or {}
    new = tuple.__new__  # half the time of Origin(...)
    may_be_native = shape.name in NATIVE and shape.frame is None
    binary = [at for at, one in enumerate(headers or ()) if one and is_binary(one)]
    unusual, large = find_unusual(lines, (*odd, *faults, *binary), sizes.record_bytes)
    if large:
        faults = {**faults, **large}
        lines = [line[:KEPT_BYTES] if line and at in large else line for at, line in enumerate(lines)]
    left = find_left(lines, unusual, wants, shape.glance, shape.look, may_be_native=may_be_native)
    if may_hold_long_integers(b"\n".join([lines[at] or b"" for at in left])):
        unusual.update(at for at in left if may_hold_long_integers(lines[at] or b""))
    skipped = len(lines) - len(left)
    found.read += skipped
    found.events += skipped
    records = found.records
    invalid_before, first = found.invalid, len(records)
    most_id = sizes.id_chars
    always_plain, plain = shape.plain is not None, shape.plain or plain_event
    # An id cannot be longer than its line, unless it is joined from parts.
    short = 0 if shape.lengthens else most_id
    verdicts: dict[tuple[str, str], bool] = {}
    plain_ones = 0
    for at in left:
        line = lines[at]
        source = sources if type(sources) is str else sources[at]
        origin = new(Origin, (source, offsets[at], 0))
        received_at = None if received is None else received[at]
        is_usual = at not in unusual
        if is_usual and line is not None and (always_plain or (may_be_native and names_native(line))):
            event = plain(line, origin, received_at)
            if event is not None:
                plain_ones += 1
                called = event.name, event.kind
                wanted = verdicts.get(called)
                if wanted is None:
                    wanted = verdicts[called] = wants(event.name, event.kind)
                if wanted:
                    if len(line) > short and (fault := long_id(event, most_id)):
                        plain_ones -= 1
                        found.read += 1
                        found.invalid += 1
                        records.append(Invalid(line[:KEPT_BYTES], fault, origin))
                    else:
                        records.append(event)
                continue
        if at in faults:
            found.read += 1
            found.invalid += 1
            records.append(Invalid(line or b"", faults[at], origin))
            continue
        members = decode(
            line,
            format=whole,
            origin=origin,
            received_at=received_at,
            headers=None if headers is None else headers[at],
            key=None if keys is None else keys[at],
            is_clean=is_usual,
            most_members=sizes.members,
        )
        # No check for unwanted events: the first look has no ids.
        may_be_long = line is None or len(line) > short
        _count(found, members, wants, line or b"", most_id if may_be_long else None)
    found.read += plain_ones
    found.events += plain_ones
    if found.invalid > invalid_before and (received is not None or headers is not None or keys is not None):
        _keep_messages(chunk, records, first)


NOTHING_AROUND = Envelope()


def _keep_messages(chunk: RawLines, records: list[Record], first: int) -> None:
    """Attach to the invalid records from ``first`` on the message around them."""
    sources, received, headers, keys = chunk.sources, chunk.received, chunk.headers, chunk.keys
    places: dict[tuple[str, int], int] = {}
    for at, offset in enumerate(chunk.offsets):
        places[sources if isinstance(sources, str) else sources[at], offset] = at
    for number in range(first, len(records)):
        record = records[number]
        if type(record) is not Invalid:
            continue
        at = places[record.origin.source, record.origin.offset]
        around = Envelope(
            None if received is None else received[at],
            None if keys is None else keys[at],
            () if headers is None else tuple(headers[at] or ()),
            chunk.lines[at] is None,
        )
        record.message = None if around == NOTHING_AROUND else around


def _count(found: Scanned, members: list[Record], wants: Wants, line: bytes, most_id: int | None) -> None:
    """Add a line's records to the counts; most_id: characters of an id, None where none can be longer."""
    if not members:
        found.read += 1
        found.ignored += 1
        return
    item, kept = -1, KEPT_BYTES
    for record in members:
        # A member may yield an update and an event: it counts once.
        if record.origin.item != item:
            item = record.origin.item
            found.read += 1
        if type(record) is Event and not wants(record.name, record.kind):
            found.events += 1
            continue
        if most_id is not None and (fault := long_id(record, most_id)) is not None:
            record = Invalid(line[:kept], fault, record.origin)
            kept = _KEPT_AGAIN
        if type(record) is Event:
            found.events += 1
        elif type(record) is PropertyUpdate:
            found.updates += 1
        elif type(record) is IdentityLink:
            found.links += 1
        else:
            found.invalid += 1
        found.records.append(record)
