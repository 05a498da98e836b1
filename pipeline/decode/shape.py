"""What a shape is: a row of the table in shapes.py, or a custom one compiled from YAML (decode/mapped)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from pipeline.decode.framed.framing import Frame
from pipeline.decode.glance.glance import NOT_SEEN, Stub, Wants
from pipeline.decode.raw.fields import Fields, Headers, Place
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json
from pipeline.model.records import Event, Origin, Record

Read: TypeAlias = Callable[[Fields, Place], list[Record]]
Glance: TypeAlias = Callable[[Stub, Wants], bool]
Side: TypeAlias = Literal["events", "users", "both"]
Seen: TypeAlias = tuple[int | None, bool]
"""The result of a look at a raw line: unix milliseconds or None, and whether it is an update of a user."""

UNSEEN = (*NOT_SEEN, InvalidRecord, ValueError, TypeError)
"""What `peek` raises for a line that it cannot read."""

NOTHING: frozenset[str] = frozenset()


class Told(NamedTuple):
    """What a line's headers say about how to read it."""

    shape: Shape
    is_plain: bool
    """True where the first look and `plain` may treat it like any line of its shape."""
    shift_ms: int
    """Added to the times of its records."""


@dataclass(slots=True, frozen=True, eq=False)
class Shape:
    """One shape of records. A new one is a module, a name in language/formats.py, and its row."""

    name: str
    read: Read
    """Returns the records of one object, in order; raises InvalidRecord."""
    reads: str = ""
    """What it reads, in one line, for people."""
    fits: Callable[[Fields], bool] | None = None
    """Whether an object whose ``type`` is inconclusive may have this shape, by its fields.

    None: `auto` never chooses it."""
    is_doubtful: Callable[[Fields], bool] | None = None
    """Whether an object may have another shape although `format` names this one: it is then compared with the
    others first (auto.py), since `read` would accept it. None: `read` itself refuses other shapes."""
    types: frozenset[str] = NOTHING
    """Values of ``type`` that only this shape has, whatever the other fields."""
    envelopes: tuple[str, ...] = ()
    """Fields that hold many records. A line that is a list is an envelope in every shape except those with
    `takes_any`."""
    takes_any: bool = False
    """True where `read` takes whatever the line holds, lists too, and opens envelopes itself."""
    parse: Callable[[bytes, Place], Json] | None = None
    """Returns the value of a line that is not JSON; raises InvalidRecord. None: strict JSON."""
    tombstone: Callable[[Place], list[Record]] | None = None
    """Returns the records of a message without a value (its key is ``place.key``); raises InvalidRecord.
    None: the key is the id of a user to forget."""
    glance: Glance | None = None
    """True for an event that `read` would certainly return, and that is not wanted
    (decode/glance/glance.py)."""
    look: Callable[[bytes, Wants], bool] | None = None
    """The same, for a shape whose first look does not use `Stub`."""
    plain: Callable[[bytes, Origin, int | None], Event | None] | None = None
    """Returns the event in a line (given the broker's time), None where only `read` can tell.

    For lines known to be UTF-8 without lone surrogates, long integers and deep nesting."""
    times: tuple[str, ...] = ()
    """Fields with the time of a record, the first one set counts: for the merge of files
    (sources/peek.py)."""
    updates: frozenset[str] = NOTHING
    """Values of ``type`` for an update of a user: it precedes an event of the same time."""
    update_events: frozenset[str] = NOTHING
    """Values of ``event`` for one."""
    peek: Callable[[bytes, Place], Seen] | None = None
    """Both at once, for a shape where these fields do not suffice. Raises `UNSEEN` where the line tells
    neither."""
    committed: Callable[[bytes], int | None] | None = None
    """When the record's change was committed (unix ms): it is written some time later, so topics are merged
    by the commit. 0: before everything; None: unknown. Never raises."""
    lengthens: bool = False
    """True where an id may be longer than its line because it is joined from parts."""
    side: Side = "both"
    """What a topic of this shape holds by default."""
    by_headers: Callable[[Headers | None], Told] | None = None
    """Returns the shape that a line's headers name, and how it reads the line (decode/collected.py); raises
    InvalidRecord. None: this shape reads every line."""
    frame: Frame | None = None
    """The frame around each record of a topic; the reader waits for the schemas that it names."""
