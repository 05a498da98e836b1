"""Google Analytics 4: rows of its export to BigQuery, as BigQuery writes them as JSON (whole numbers as
texts).

``event_name`` is the name, ``user_id`` the user, ``user_pseudo_id`` the anonymous id; a row has no id of
its event. The time is ``event_timestamp`` (microseconds). ``event_params`` are the properties, each with
the one value that is set; ``items`` and ``ecommerce`` are among them. ``user_properties`` are an update
that comes before the event; one without a value is removed. ``device``, ``geo``, ``traffic_source`` and
every other column are context. ``page_view`` has the kind ``page``, ``screen_view`` ``screen``.

Source: support.google.com/analytics/answer/7029846 (BigQuery Export schema).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pipeline.decode.raw import fields
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.shape import Seen
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, kind_of
from pipeline.model.records import Event, PropertyUpdate, Record
from pipeline.model.times import parse_time

_KINDS: Final = {"page_view": "page", "screen_view": "screen"}
MARKS: Final = frozenset({"event_timestamp", "event_params", "event_date", "user_pseudo_id"})
_VALUES: Final = ("string_value", "int_value", "double_value", "float_value")
_WHOLE: Final = frozenset({"int_value", "quantity", "total_item_quantity", "unique_items"})
"""INT64 columns, which BigQuery's JSON exports as texts."""
_READ: Final = frozenset(
    {
        "event_name",
        "event_params",
        "user_id",
        "user_pseudo_id",
        "event_timestamp",
        "user_properties",
        "items",
        "ecommerce",
    }
)


def read(record: Fields, place: Place) -> list[Record]:
    """Return the update and the event of one row. Raises InvalidRecord."""
    name = fields.text(record, "event_name")
    if name is None:
        raise InvalidRecord("the row of Google Analytics 4 has no `event_name`")
    if MARKS.isdisjoint(record):
        raise InvalidRecord("no row of the export of Google Analytics 4: it has no `event_timestamp`")
    ids = fields.text_id(record, "user_id"), fields.text_id(record, "user_pseudo_id")
    if ids == (None, None):
        raise InvalidRecord("the row of Google Analytics 4 has neither `user_id` nor `user_pseudo_id`")
    times = fields.times(record, place, "event_timestamp")
    source = fields.text(record, "platform")
    records: list[Record] = []
    known = _pairs(record, "user_properties")
    if known:
        given: Fields = {key: value for key, value in known.items() if value is not None}
        gone = tuple(key for key, value in known.items() if value is None)
        records.append(PropertyUpdate(None, *ids, *times, source, given, {}, gone, place.origin))
    properties = _pairs(record, "event_params")
    for name_of in ("items", "ecommerce"):
        if record.get(name_of) and name_of not in properties:
            properties[name_of] = _whole(record[name_of])
    context: Fields = {key: value for key, value in record.items() if value is not None and key not in _READ}
    event = Event(
        None, name, _KINDS.get(name, "track"), *ids, *times, source, properties, context, place.origin
    )
    return [*records, event]


def _pairs(record: Fields, name: str) -> Fields:
    """Return a column's repeated key-value pairs as an object."""
    given = record.get(name)
    if given is None:
        return {}
    if type(given) is not list:
        raise InvalidRecord(f"`{name}` is {kind_of(given)}, expected an array of keys and values")
    found: Fields = {}
    for pair in given:
        key = fields.text(pair, "key") if type(pair) is dict else None
        if type(pair) is not dict or key is None:
            raise InvalidRecord(f"a member of `{name}` has no `key`")
        value = fields.mapping(pair, "value")
        held = next((one for one in _VALUES if value.get(one) is not None), None)
        found[key] = None if held is None else _number(value[held]) if held == "int_value" else value[held]
    return found


def _whole(value: Json) -> Json:
    """Return items and ecommerce with BigQuery's numeric texts as numbers, and parameters as objects."""
    if type(value) is list:
        return [_whole(one) for one in value]
    if type(value) is not dict:
        return value
    return {
        key: _pairs(value, key) if key == "item_params" else _number(one) if key in _WHOLE else one
        for key, one in value.items()
    }


def _number(value: Json) -> Json:
    if type(value) is str and len(value) <= 20 and value.removeprefix("-").isdecimal() and value.isascii():
        number = int(value)
        return number if -(2**63) <= number < 2**64 else value
    return value


class _When(msgspec.Struct):
    event_timestamp: Any = None


_peek = msgspec.json.Decoder(_When).decode


def peek(line: bytes, _place: Place) -> Seen:
    """Return its time; a row is an event."""
    when = _peek(line).event_timestamp
    return None if when is None else parse_time(when), False
