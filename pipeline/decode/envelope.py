"""Kafka Connect's ``{schema, payload}`` envelope, around any record that `auto` recognises.

Values that the schema calls decimals or times become numbers or ISO 8601 texts (framed/connect_values.py).
"""

from __future__ import annotations

from typing import Final

from pipeline.decode.auto import AUTO
from pipeline.decode.connect.keys import forgotten
from pipeline.decode.framed.connect_values import parse, unwrap
from pipeline.decode.raw import strict
from pipeline.decode.raw.fields import Place
from pipeline.decode.shape import Shape
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, kind_of
from pipeline.model.records import Record


def read(record: Json, place: Place) -> list[Record]:
    """Return the records of a message; one without a payload forgets the user of its key."""
    if type(record) is dict and not ("schema" in record and "payload" in record):
        raise InvalidRecord(
            "the record has not both `schema` and `payload`: without `schemas.enable` JsonConverter writes "
            "records as they are, which other formats read"
        )
    payload, schema = unwrap(record)
    if payload is None:
        return _tombstone(place)
    value = payload if schema is None else schema.converted(payload)
    if type(value) is str:
        value = strict.inside(value)
    if type(value) is not dict:
        raise InvalidRecord(f"`payload` is {kind_of(value)}, expected an object")
    return AUTO.read(value, place)


def _tombstone(place: Place) -> list[Record]:
    return [forgotten(place, ())]


CONNECT: Final = Shape(
    "kafka-connect",
    read,
    "`{schema, payload}` of JsonConverter around records that `auto` reads",
    parse=parse,
    takes_any=True,
    tombstone=_tombstone,
)
"""A row of the table like the others."""
