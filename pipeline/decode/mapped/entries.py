"""A shape's entries: when one applies, and the updates, links and events it yields, in that order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pipeline.config.models.shape import EventPart
from pipeline.decode.mapped.conditions import Holds, Judge
from pipeline.decode.mapped.frame import Frame, Source
from pipeline.decode.mapped.objects import Object
from pipeline.decode.mapped.parts import EventReads, Id, LeftOut, ReadPart, is_empty
from pipeline.decode.work import spend_work
from pipeline.language.path_syntax import Path
from pipeline.language.work import CHARS
from pipeline.model.errors import InvalidRecord
from pipeline.model.records import IdentityLink, Invalid, Origin, PropertyUpdate, Record

_ELEMENT: Final = 20
"""Work of entering one element by `each` (measured)."""
_LACKING: Final = 50
"""Likewise for an element that lacks what its part requires."""


@dataclass(slots=True)
class Member:
    """One event, user or link of an entry; with `each`, one for every element."""

    read: ReadPart
    when: Holds | None = None
    each: tuple[Source, ...] = ()
    """The path to each list or object that is entered."""
    told: str = ""
    """`each` as written."""
    reads: EventReads | None = None
    """For an event: its readers; the model says what its objects are."""
    of_message: Id | None = None
    """For a user: the id, where the message around the record may hold it."""
    model: EventPart | None = None
    properties: Object | None = None
    context: Object | None = None


@dataclass(slots=True)
class Entry:
    """One kind of record."""

    name: str
    """Its place in the file: ``records[0]``."""
    judge: Judge | None
    when: Holds | None
    users: list[Member] = field(default_factory=list)
    links: list[Member] = field(default_factory=list)
    events: list[Member] = field(default_factory=list)
    is_ignored: bool = False
    paths: list[Path] = field(default_factory=list)
    """Everything that its parts read of the record itself."""

    @property
    def only_event(self) -> Member | None:
        """The entry's single event, where it is read from the record itself; None for other entries."""
        if self.users or self.links or len(self.events) != 1:
            return None
        member = self.events[0]
        return None if member.each or member.when is not None else member


class Numbers:
    """How many records of each kind a line has yielded so far: a record's item in its origin."""

    __slots__ = ("events", "invalid", "links", "most", "source", "updates")

    def __init__(self, origin: Origin, most: int) -> None:
        self.source = origin
        self.most = most
        self.events = self.updates = self.links = self.invalid = 0

    def origin(self, number: int) -> Origin:
        """Return the origin of the record with this number. Raises InvalidRecord where there are too many."""
        if number >= self.most:
            raise InvalidRecord(f"the line gives more than the {self.most:,} records of `limits.members`")
        return self.source if number == 0 else Origin(self.source.source, self.source.offset, number)


def read_entry(entry: Entry, frame: Frame, numbers: Numbers, raw: bytes) -> list[Record]:
    """Return the records of an entry whose `when` holds. Raises LeftOut where no part of it fits.

    A part with a wrong value is an Invalid beside the others; alone, its InvalidRecord is raised.
    """
    invalid: list[Record] = []
    received_at = frame.place.received_at
    # As texts: a kept error would keep the line, until a garbage collection.
    lacking: list[str] = []
    wrong: list[str] = []

    def all_of(members: Iterable[Member], number: int) -> Iterator[Record]:
        for member in members:
            for one in _frames(member, frame, lacking):
                try:
                    if member.when is not None and not member.when(one.here, one):
                        continue
                    made = member.read(one.here, one, numbers.origin(number), received_at)
                except LeftOut as error:
                    spend_work(_LACKING)
                    if not lacking:
                        lacking.append(str(error))
                    continue
                except InvalidRecord as error:
                    if number >= numbers.most:
                        raise
                    spend_work(len(raw) // CHARS)  # each of them keeps the whole line
                    wrong.append(str(error))
                    invalid.append(Invalid(raw, wrong[-1], numbers.origin(numbers.invalid)))
                    numbers.invalid += 1
                    continue
                number += 1
                yield made

    updates = list(all_of(entry.users, numbers.updates))
    links = list(all_of(entry.links, numbers.links))
    events = list(all_of(entry.events, numbers.events))
    if not (updates or links or events or invalid):
        raise LeftOut(lacking[0] if lacking else "the `when` of no part holds")
    if len(wrong) == 1 and not (updates or links or events):
        raise InvalidRecord(wrong[0])
    # Before empty updates are dropped: those after them keep their numbers, which nobody else may have.
    numbers.updates += len(updates)
    numbers.links += len(links)
    numbers.events += len(events)
    if links or events:
        updates = [one for one in updates if not is_empty(one)]
    return [*updates, *links, *events, *invalid]


def _frames(member: Member, frame: Frame, lacking: list[str]) -> Iterable[Frame]:
    """Return the record itself or, with `each`, its elements."""
    found = [frame]
    for source in member.each:
        found = [inner for outer in found for inner in _inside(source(outer.here, outer), outer)]
    if not found:
        lacking.append(f"there is no element at `{member.told}`")
    return found


def _inside(value: object, outer: Frame) -> Iterator[Frame]:
    place = outer.place
    if type(value) is list or type(value) is dict:
        spend_work(_ELEMENT * len(value))
    if type(value) is list:
        for index, one in enumerate(value):
            yield Frame(one, place, outer, index, index)
    elif type(value) is dict:
        for index, (key, one) in enumerate(value.items()):
            yield Frame(one, place, outer, key, index)


def is_update(records: Iterable[Record]) -> bool:
    """Return whether records are only about users, so that they precede an event of the same time."""
    kinds = {type(record) for record in records}
    return bool(kinds) and kinds <= {PropertyUpdate, IdentityLink}


def first_time(records: Iterable[Record]) -> int | None:
    """Return the time of the first record that has one."""
    for one in records:
        if not isinstance(one, Invalid) and one.time is not None:
            return one.time
    return None
