"""The records that flow through a job, in the field's own words.

Times are integers: milliseconds since the unix epoch, UTC. They are plain integers because every
event is compared, expired and formatted by time, and an int costs a tenth of an aware datetime. They are
msgspec structs because those are made in a third of a dataclass's time; nothing in them can form a cycle.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import msgspec

from pipeline.model.json import Json, Value


class Origin(NamedTuple):
    """Where a record was read: never random, the same in every replay.

    source: a recording's file name, or ``topic/partition``.
    offset: the byte where the line starts, or the Kafka offset.
    item: the place inside an envelope such as ``batch[]`` that holds many records; else 0.
    """

    source: str
    offset: int
    item: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.offset}" + (f"#{self.item}" if self.item else "")


def topic_of(source: str) -> str | None:
    """Return the topic that an origin's source names, in whichever of its lives (``TOPIC~2/0``).

    None where the source is no partition of a topic.
    """
    topic, _, partition = source.rpartition("/")
    return topic.partition("~")[0] if partition.isdigit() else None


NO_IDS: Final = frozenset(
    {
        "undefined", "null", "(null)", "<null>", "None", "nil", "<nil>", "NaN", "[object Object]",
        "00000000-0000-0000-0000-000000000000",
    }
)  # fmt: skip
"""What languages print for nothing, and the UUID of zeros: events that have these in place of an id are as
different as events without one."""


class Event(msgspec.Struct, gc=False):
    """Something a user did."""

    id: str | None
    name: str
    kind: str
    """track, page, screen, click, group, ...; ``update`` for a property change."""
    user_id: str | None
    anonymous_id: str | None
    time: int | None
    """When it occurred; without one, when it was received; None where neither is known."""
    received_at: int | None
    source: str | None
    properties: dict[str, Json]
    context: dict[str, Json]
    origin: Origin
    elements: list[dict[str, Value]] | None = None
    """The element chain of an autocaptured event, innermost first:
    ``{tag, id, classes: [..], attributes: {..}, text, nth_child, nth_of_type}``."""
    id_scope: str | None = None
    """Where ``id`` is unique: a CloudEvent's source; None: everywhere."""

    def identity(self) -> str | list[Value] | None:
        """Return what tells it from others: its id, with its scope; None where it has none."""
        if self.id in NO_IDS:
            return None
        return self.id if self.id_scope is None or self.id is None else [self.id_scope, self.id]


class PropertyUpdate(msgspec.Struct, gc=False):
    """A change of what is known about a user. ``set`` overwrites, ``set_once`` does not."""

    id: str | None
    user_id: str | None
    anonymous_id: str | None
    time: int | None
    received_at: int | None
    source: str | None
    set: dict[str, Json]
    set_once: dict[str, Json]
    unset: tuple[str, ...]
    origin: Origin
    delete: bool = False
    """True: forget the user (a tombstone or a delete record)."""
    columns: tuple[str, ...] = ()
    """The table of this row, then all of its columns; () where the update is no table row. Properties from
    columns that the table had at the user's last row, and no longer has, are unset."""


class IdentityLink(msgspec.Struct, gc=False):
    """From here on ``anonymous_id`` is ``user_id``."""

    anonymous_id: str
    user_id: str
    time: int | None
    origin: Origin
    alias: bool = False
    """True for an alias call: the previous id may also have been used as a user id."""


class Invalid(msgspec.Struct, gc=False):
    """A record that could not be understood; it is dead-lettered with its reason."""

    raw: bytes
    reason: str
    origin: Origin
    message: Envelope | None = None
    """The message around it, so that it can be read again."""


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """The parts of a message beside its value. Stored in dead letters: add new fields at the end."""

    time: int | None = None
    """The broker's, unix ms."""
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    is_tombstone: bool = False


Record: TypeAlias = "Event | PropertyUpdate | IdentityLink | Invalid"


class User(msgspec.Struct, gc=False):
    """What is known about a user at the moment of an event: the view that conditions and templates read."""

    id: str | None
    anonymous_id: str | None
    identified: bool
    """True where the event belongs to a user id, False for an unlinked anonymous id."""
    properties: dict[str, Json] = msgspec.field(default_factory=dict)
    before: dict[str, Json] | None = None
    """Old values of the properties that an update changed; None unless a `changes` trigger runs."""

    @staticmethod  # called once per event: a class method costs twice as much
    def of(
        record: Event | PropertyUpdate, properties: dict[str, Json], before: dict[str, Json] | None = None
    ) -> User:
        """Return the user of a record, with the given properties."""
        return User(record.user_id, record.anonymous_id, record.user_id is not None, properties, before)


class Missing:
    """The type of MISSING: the value of a path that leads nowhere (JSON's null is None, not MISSING)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "MISSING"


MISSING = Missing()
