"""Reading single fields of a record, with reasons that name the field."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, kind_of
from pipeline.model.records import Origin
from pipeline.model.times import parse_time

Fields = dict[str, Json]


@dataclass(slots=True)
class Place:
    """Where a record was found and what its surroundings say about it."""

    origin: Origin
    received_at: int | None = None
    """Broker time in unix milliseconds."""
    context: Fields | None = None
    """Context shared by all records of an envelope."""
    sent_at: Json = None
    """When the envelope was sent, undecoded."""


def text_id(fields: Fields, *names: str) -> str | None:
    """Return the first of the named fields that is set, as text; empty text and null count as unset.

    Numbers become text: 17 and 17.0 are "17". Anything else raises InvalidRecord.
    """
    for name in names:
        value = fields.get(name)
        if type(value) is str:
            if value:
                return value
        elif type(value) is int:
            return str(value)
        elif type(value) is float:
            return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
        elif value is not None:
            raise InvalidRecord(f"`{name}` is {kind_of(value)}, a text or a number is wanted")
    return None


def text(fields: Fields, *names: str) -> str | None:
    """Return the first of the named fields that is set and not empty. Raises InvalidRecord for no text."""
    for name in names:
        value = fields.get(name)
        if type(value) is str:
            if value:
                return value
        elif value is not None:
            raise InvalidRecord(f"`{name}` is {kind_of(value)}, a text is wanted")
    return None


def mapping(fields: Fields, name: str) -> Fields:
    """Return the named object; missing and null are an empty one. Raises InvalidRecord for anything else."""
    value = fields.get(name)
    if type(value) is dict:
        return value
    if value is None:
        return {}
    raise InvalidRecord(f"`{name}` is {kind_of(value)}, an object is wanted")


def time(fields: Fields, *names: str) -> int | None:
    """Return the first of the named fields that is set, as unix milliseconds. Raises InvalidRecord."""
    for name in names:
        value = fields.get(name)
        if value is not None and value != "":
            try:
                return parse_time(value)
            except ValueError as error:
                raise InvalidRecord(f"`{name}`: {error}") from None
    return None


def names(fields: Fields, name: str) -> tuple[str, ...]:
    """Return a list of texts as a tuple, a single text as one of them. Raises InvalidRecord."""
    value = fields.get(name)
    if value is None:
        return ()
    if type(value) is str:
        return (value,)
    if type(value) is list and len(texts := [item for item in value if type(item) is str]) == len(value):
        return tuple(texts)
    if type(value) is dict:
        return tuple(value)
    raise InvalidRecord(f"`{name}` is {kind_of(value)}, an array of property names is wanted")
