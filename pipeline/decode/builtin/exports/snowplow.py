"""Snowplow's enriched events: the JSON of its analytics SDKs, and the tab-separated text of its topics.

``event_name`` is the name (else ``event``), ``event_id`` the id, ``user_id`` the user. The anonymous id is
``domain_userid``, else the ``userId`` of a phone's ``client_session``, else ``network_userid``. The time is
``derived_tstamp`` (corrected by Snowplow with the collector's clock), else ``true_tstamp``,
``collector_tstamp``. The properties are those of the self-describing event (``unstruct_event_*``); for
Snowplow's own kinds of events, the columns of that kind (``se_*``, ``tr_*``, ``ti_*``, ``pp_*``, for page
views and pings ``page_*``). ``contexts_*`` and every other non-empty column are context. ``page_view`` has
the kind ``page``, ``screen_view`` ``screen``.

A line of the topic has some 130 columns (snowplow_tsv.py) and is converted as the analytics SDKs do. Source:
docs.snowplow.io, Enriched TSV format, Canonical event model; the field types of the analytics SDKs.
"""

from __future__ import annotations

from typing import Final

import orjson

from pipeline.decode.builtin.exports import snowplow_tsv
from pipeline.decode.raw import fields, strict
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.shape import Seen
from pipeline.decode.strangers import SNOWPLOW
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json
from pipeline.model.records import Event, Record
from pipeline.model.times import parse_time

_KINDS: Final = {"page_view": "page", "screen_view": "screen"}
_COLUMNS: Final = {
    "page_view": ("page_",),
    "page_ping": ("page_", "pp_"),
    "struct": ("se_",),
    "transaction": ("tr_",),
    "transaction_item": ("ti_",),
}
"""Prefixes of the columns that belong to each kind of event."""
_UNSTRUCT: Final = "unstruct_event_"
_SESSION: Final = "contexts_com_snowplowanalytics_snowplow_client_session_1"
_TIMES: Final = ("derived_tstamp", "true_tstamp", "collector_tstamp", "dvce_created_tstamp")
_READ: Final = frozenset({"event_id", "event_name", "user_id", "derived_tstamp", "name_tracker"})


def parse(raw: bytes, place: Place) -> Json:
    """Return the object in a line: JSON, or tab-separated text converted as the SDKs do."""
    if raw[:1] in (b"{", b"[") or b"\t" not in raw:
        return strict.loads(raw)
    return snowplow_tsv.read_line(raw)


def read(record: Fields, place: Place) -> list[Record]:
    """Return the event of one enriched object. Raises InvalidRecord."""
    if SNOWPLOW.isdisjoint(record):
        raise InvalidRecord("no enriched event of Snowplow: it has no `derived_tstamp` or `collector_tstamp`")
    event = fields.text(record, "event")
    name = fields.text(record, "event_name") or event
    if name is None:
        raise InvalidRecord("the enriched event of Snowplow has neither `event_name` nor `event`")
    user_id, anonymous_id = fields.text_id(record, "user_id"), _anonymous(record)
    if user_id is None and anonymous_id is None:
        raise InvalidRecord("the enriched event has none of `user_id`, `domain_userid` and `network_userid`")
    times = fields.times(record, place, *_TIMES, received=("collector_tstamp",))
    properties, context = _split(record, event or name)
    found = Event(
        fields.text_id(record, "event_id"),
        name,
        _KINDS.get(name, "track"),
        user_id,
        anonymous_id,
        *times,
        fields.text(record, "name_tracker"),
        properties,
        context,
        place.origin,
    )
    return [found]


def _anonymous(record: Fields) -> str | None:
    found = fields.text_id(record, "domain_userid")
    sessions = record.get(_SESSION)
    if found is None and type(sessions) is list and sessions and type(sessions[0]) is dict:
        found = fields.text_id(sessions[0], "userId")
    return fields.text_id(record, "network_userid") if found is None else found


def _split(record: Fields, event: str) -> tuple[Fields, Fields]:
    """Return (properties, context)."""
    begins = _COLUMNS.get(event, ())
    properties: Fields = {}
    context: Fields = {}
    for name, value in record.items():
        if value is None or name in _READ:
            continue
        if name.startswith(_UNSTRUCT):
            properties.update(value if type(value) is dict else {name: value})
        elif name == "unstruct_event" and type(value) is dict:
            # Named as in the topic where no schema names it.
            inner = fields.mapping(fields.mapping(value, "data"), "data")
            properties.update(inner or value)
        elif begins and name.startswith(begins):
            properties[name] = value
        else:
            context[name] = value
    return properties, context


def peek(line: bytes, _place: Place) -> Seen:
    """Return its time; an enriched event is never an update of a user."""
    found = snowplow_tsv.time_of(line) if line[:1] != b"{" else _time_of(orjson.loads(line))
    return None if found is None else parse_time(found), False


def _time_of(record: Fields) -> Json:
    return next((record[name] for name in _TIMES if record.get(name) is not None), None)
