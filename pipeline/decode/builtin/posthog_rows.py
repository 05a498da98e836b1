"""PostHog's own output, converted to the capture call that it came from.

A message of the capture topic has the call as text in ``data``, with ``uuid``, ``distinct_id``, ``now`` and
``sent_at`` beside it. A message of ``clickhouse_events_json`` and a row of a batch export have the properties
as text or as an object, and in ``person_properties`` what PostHog knew of the person at this event: an update
before it. Source: PostHog's rust/capture (CapturedEvent), its ClickHouse schema,
posthog.com/docs/cdp/batch-exports.
"""

from __future__ import annotations

from typing import Final

from pipeline.decode.raw import fields, strict
from pipeline.decode.raw.fields import Fields
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import kind_of

_BESIDE: Final = ("uuid", "distinct_id", "now", "sent_at")


def is_one(record: Fields) -> bool:
    """Return whether the object is a message or a row that PostHog wrote."""
    if "distinct_id" not in record:
        return False
    properties = record.get("properties")
    if properties is None:
        return is_packed(record) or "person_properties" in record
    return type(properties) is str or "person_properties" in record


def is_packed(record: Fields) -> bool:
    """Return whether an object without properties holds the call as text."""
    data = record.get("data")
    return type(data) is str and data.startswith("{")


def as_call(record: Fields) -> Fields:
    """Return the capture call of a message or a row. Raises InvalidRecord."""
    if record.get("properties") is None and is_packed(record):
        call = _object(record, "data")
        # The server has set the event's name and time; the call itself may lack them or differ.
        return {**call, **{name: record[name] for name in _BESIDE if record.get(name) is not None}}
    properties = _object(record, "properties")
    known = _object(record, "person_properties")
    if known:
        # What the event itself sets is among them already, unless it was not to touch the person.
        properties = {**properties, "$set": {**known, **fields.mapping(properties, "$set")}}
    return {**record, "properties": properties}


def _object(record: Fields, name: str) -> Fields:
    """Return an object that may be serialised as text; missing and empty ones are an empty object."""
    value = record.get(name)
    if type(value) is not str:
        return fields.mapping(record, name)
    if not value:
        return {}
    try:
        read = strict.loads(value.encode("utf-8", "surrogatepass"))
    except InvalidRecord as error:
        raise InvalidRecord(f"the text in `{name}`: {error}") from None
    if read is None:
        return {}
    if type(read) is not dict:
        raise InvalidRecord(f"the text in `{name}` is {kind_of(read)}, expected an object")
    return read
