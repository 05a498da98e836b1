"""What a shape is: a row of the table in shapes.py, or a custom one compiled from YAML (decode/mapped)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from pipeline.decode.framed.framing import Frame
from pipeline.decode.glance.glance import Stub, Wants
from pipeline.decode.raw.fields import Fields, Headers, Place
from pipeline.model.json import Json
from pipeline.model.records import Event, Origin, Record

Read: TypeAlias = Callable[[Fields, Place], list[Record]]
Glance: TypeAlias = Callable[[Stub, Wants], bool]
Side: TypeAlias = Literal["events", "users", "both"]
Seen: TypeAlias = tuple[int | None, bool]
"""What a look at a raw line tells: unix milliseconds or None, and whether it is an update of a user."""

NOTHING: frozenset[str] = frozenset()


class Told(NamedTuple):
    """What the headers of a line say of how it is read."""

    shape: Shape
    is_plain: bool
    """True where the first look at it and `plain` may read it as any line of its shape."""
    shift_ms: int
    """To be added to the times of its records."""


@dataclass(slots=True, frozen=True, eq=False)
class Shape:
    """One shape of records. A new one is a module, a name in language/formats.py, and its row."""

    name: str
    read: Read
    """Gives the records of one object, in order; raises InvalidRecord."""
    reads: str = ""
    """What of it is read, in a line, for people."""
    fits: Callable[[Fields], bool] | None = None
    """Whether an object whose ``type`` does not say it may be of this shape, by its fields.

    None: `auto` never chooses it.
    """
    is_doubtful: Callable[[Fields], bool] | None = None
    """Whether an object may be of another shape although `format` names this one: it is then compared with
    the others first (auto.py), since `read` would take it. None: `read` itself refuses what is another's."""
    types: frozenset[str] = NOTHING
    """What ``type`` says of this shape alone, whatever else is there."""
    envelopes: tuple[str, ...] = ()
    """Fields that hold many records. A line that is a list is an envelope in every shape but those that
    `takes_any`."""
    takes_any: bool = False
    """True where `read` is given whatever the line holds, lists too, and opens envelopes itself."""
    parse: Callable[[bytes, Place], Json] | None = None
    """Gives the value of a line that is no JSON; raises InvalidRecord. None: strict JSON."""
    tombstone: Callable[[Place], list[Record]] | None = None
    """Gives the records of a message without a value (its key is ``place.key``); raises InvalidRecord. None:
    the key is the id of a user who is to be forgotten."""
    glance: Glance | None = None
    """True for an event that `read` would surely give, and that is not wanted (decode/glance/glance.py)."""
    look: Callable[[bytes, Wants], bool] | None = None
    """The same, for a shape whose first look is not at a `Stub`."""
    plain: Callable[[bytes, Origin, int | None], Event | None] | None = None
    """Gives the event that a line surely is (with the broker's time), None where `read` must say what it is.

    For lines known to be UTF-8 without lone surrogates, long integers and deep nesting.
    """
    times: tuple[str, ...] = ()
    """Fields with the time of a record, the first that is set: for the merge of files (sources/peek.py)."""
    updates: frozenset[str] = NOTHING
    """What ``type`` says of an update of a user: it goes before an event of the same time."""
    update_events: frozenset[str] = NOTHING
    """What ``event`` says of one."""
    peek: Callable[[bytes, Place], Seen] | None = None
    """Both at once, for a shape of which these fields cannot tell it. Never raises."""
    committed: Callable[[bytes], int | None] | None = None
    """When a record says that its change was committed (unix ms): it is written some time after that, so that
    topics are merged by the commit. 0: before all else; None: it does not say it. Never raises."""
    lengthens: bool = False
    """True where an id may be longer than the line that it stands in: it is put together."""
    side: Side = "both"
    """What a topic of this shape holds where nothing says it."""
    by_headers: Callable[[Headers | None], Told] | None = None
    """Says by a line's headers which other shape reads it, and how (decode/collected.py); raises
    InvalidRecord. None: this one reads every line."""
    frame: Frame | None = None
    """What is around each record of a topic; the reader waits for the schemas that it names."""
