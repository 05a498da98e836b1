"""Reads single fields of a record; errors name the field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from pipeline.decode.placeholder_ids import is_placeholder
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, kind_of
from pipeline.model.records import IdentityLink, Invalid, Origin, Record
from pipeline.model.sizes import USUAL
from pipeline.model.times import time_or_none

Fields = dict[str, Json]
Headers = Sequence[tuple[str, bytes | None]]
"""Of a message, as Kafka has them."""


FIRST_OF_ID: Final = "!"
"""A text that sorts before it may be empty or blank: as an id it is none. Comparing takes a fifth of the time
of looking for blanks."""


def is_id(text: str) -> bool:
    """Return whether a text can be an id: an empty or blank one is none."""
    return text >= FIRST_OF_ID or text.strip() != ""


@dataclass(slots=True)
class Place:
    """Where a record was found, and what its surroundings say about it."""

    origin: Origin
    received_at: int | None = None
    """Broker time in unix milliseconds."""
    context: Fields | None = None
    """Context shared by all records of an envelope."""
    sent_at: Json = None
    """When the envelope was sent, not yet parsed."""
    raw: bytes | None = None
    """The line, where it holds only this record."""
    envelope: str = ""
    """The name of the envelope field that contains this record."""
    headers: Headers | None = None
    key: bytes | None = None
    most_members: int = USUAL.members
    """How many records one line may yield."""

    @property
    def is_message(self) -> bool:
        """True for a message of a topic, also a recorded one: it has a key, headers, or the broker's time."""
        return self.received_at is not None or self.key is not None or self.headers is not None


def text_id(fields: Fields, *names: str) -> str | None:
    """Return the first of the named fields that is set, as text; null, empty and blank text count as unset.

    Numbers become text: 17 and 17.0 are "17". Anything else raises InvalidRecord.
    """
    for name in names:
        value = fields.get(name)
        if type(value) is str:
            if is_id(value):
                return value
        elif type(value) is int:
            return str(value)
        elif type(value) is float:
            return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
        elif value is not None:
            raise InvalidRecord(f"`{name}` is {kind_of(value)}, expected a text or a number")
    return None


def link(
    fields: Fields, place: Place, anonymous_id: str, user_id: str, at: int | None, *, alias: bool = False
) -> list[Record]:
    """Return the link between two ids; an Invalid where one of them is a placeholder.

    An update in the same call is not lost with it.
    """
    for one, other in ((anonymous_id, user_id), (user_id, anonymous_id)):
        if is_placeholder(one):
            reason = (
                f"the link between {one[:60]!r} and {other[:60]!r} is refused: {one[:60]!r} stands for "
                "nobody, and would make one user of many"
            )
            return [Invalid(_dumps(fields) if place.raw is None else place.raw, reason, place.origin)]
    return [IdentityLink(anonymous_id, user_id, at, place.origin, alias)]


def _dumps(fields: Fields) -> bytes:
    try:
        return orjson.dumps(fields)
    except orjson.JSONEncodeError:
        return repr(fields).encode("utf-8", "replace")


def text(fields: Fields, *names: str) -> str | None:
    """Return the first of the named fields that is set and not empty. Raises InvalidRecord for
    other types.
    """
    for name in names:
        value = fields.get(name)
        if type(value) is str:
            if value:
                return value
        elif value is not None:
            raise InvalidRecord(f"`{name}` is {kind_of(value)}, expected a text")
    return None


def mapping(fields: Fields, name: str) -> Fields:
    """Return the named object; missing, null and [] are an empty one. Raises InvalidRecord for others."""
    value = fields.get(name)
    if type(value) is dict:
        return value
    if value is None or value == []:
        return {}  # PHP serialises an empty map as []
    raise InvalidRecord(f"`{name}` is {kind_of(value)}, expected an object")


def time(fields: Fields, *names: str) -> int | None:
    """Return the first of the named fields that is set, as unix milliseconds. Raises InvalidRecord."""
    for name in names:
        value = fields.get(name)
        if value is not None and value != "":
            try:
                found = time_or_none(value)
            except ValueError as error:
                raise InvalidRecord(f"`{name}`: {error}") from None
            if found is not None:
                return found
    return None


def times(
    fields: Fields, place: Place, *names: str, received: Sequence[str] = ()
) -> tuple[int | None, int | None]:
    """Return when it happened, by the first of the named fields that is set, and when it was received.

    received: fields that say the second; where none is set, the broker's time counts, which also stands in
    for the first. Raises InvalidRecord.
    """
    received_at = time(fields, *received)
    if received_at is None:
        received_at = place.received_at
    happened_at = time(fields, *names)
    return (received_at if happened_at is None else happened_at), received_at


def names(fields: Fields, name: str) -> tuple[str, ...]:
    """Return a list of texts as a tuple; a single text counts as a list. Raises InvalidRecord."""
    value = fields.get(name)
    if value is None:
        return ()
    if type(value) is str:
        return (value,)
    if type(value) is list and len(texts := [item for item in value if type(item) is str]) == len(value):
        return tuple(texts)
    if type(value) is dict:
        return tuple(value)
    raise InvalidRecord(f"`{name}` is {kind_of(value)}, expected an array of property names")
