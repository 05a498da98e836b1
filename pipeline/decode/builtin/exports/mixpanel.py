"""Mixpanel: lines of its export, bodies of /track and /import, and people (/engage and their export).

An event is ``event`` and ``properties``, all of which are kept. Among them are the time ``time``, in seconds
or milliseconds, and the id ``$insert_id``. ``$user_id`` is the user and ``$device_id`` the anonymous id.
Without them ``distinct_id`` is the user, unless it equals ``$device_id`` or begins with ``$device:``: then it
is an anonymous id. ``$identify`` (``$anon_id`` or ``$anon_distinct_id``, else ``$device_id``),
``$create_alias`` and ``$merge`` are links. Of the two ids of an alias or merge, the one that a device
generated is the anonymous one; where both look alike, ``alias`` becomes ``distinct_id``, as in Mixpanel, and
the second id of a merge becomes the first. People: ``$set``, ``$set_once``, ``$unset`` and ``$delete`` of a
``$distinct_id`` are an update, and so are the ``$properties`` of an exported profile. Operators that need the
previous value (``$add``, ``$append``, ``$union``, ``$remove``) become a dead letter; the rest of the call is
still read. A group's properties belong to no user.

Source: docs.mixpanel.com, Import Events, User Profiles, Identifying Users (both ID merges).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pipeline.decode.builtin.exports import operators
from pipeline.decode.builtin.exports.operators import Meaning
from pipeline.decode.placeholder_ids import is_generated
from pipeline.decode.raw import fields
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.shape import Seen
from pipeline.decode.strangers import NO_MIXPANEL
from pipeline.model.errors import InvalidRecord
from pipeline.model.records import Event, Record
from pipeline.model.times import parse_time

_DEVICE: Final = "$device:"
_KINDS: Final = {"$mp_web_page_view": "page"}
_OPERATORS: Final[dict[str, Meaning]] = {
    "$set": "set",
    "$set_once": "set_once",
    "$unset": "unset",
    "$delete": "delete",
    "$add": "unsaid",
    "$append": "unsaid",
    "$union": "unsaid",
    "$remove": "unsaid",
}
_SAID: Final = frozenset({"$properties", *(name for name, of in _OPERATORS.items() if of != "unsaid")})
_LINKS: Final = frozenset({"$identify", "$create_alias", "$merge"})


def read(record: Fields, place: Place) -> list[Record]:
    """Return the records of one event or people call. Raises InvalidRecord."""
    if "event" in record:
        return _event(record, place)
    if "$distinct_id" in record:
        return _people(record, place)
    if "$group_key" in record:
        raise InvalidRecord("the properties of a Mixpanel group belong to no user")
    raise InvalidRecord("no call of Mixpanel: expected `event` (an event) or `$distinct_id` (people)")


def is_doubtful(record: Fields) -> bool:
    """Return whether the object has more than an event and its properties."""
    return len(record) != 2 or "event" not in record or "properties" not in record


def _event(record: Fields, place: Place) -> list[Record]:
    name = fields.text(record, "event")
    if name is None:
        raise InvalidRecord("the event of Mixpanel has no `event`")
    if "distinct_id" in record or not NO_MIXPANEL.isdisjoint(record):
        found = next(key for key in record if key == "distinct_id" or key in NO_MIXPANEL)
        raise InvalidRecord(
            f"no event of Mixpanel: it has nothing beside its `properties`, and here is `{found}`"
        )
    properties = fields.mapping(record, "properties")
    if "$lib" in properties:
        raise InvalidRecord("no event of Mixpanel: `$lib` among the properties is PostHog's")
    times = fields.times(properties, place, "time", "$time", received=("mp_processing_time_ms",))
    if name in _LINKS:
        return _link(record, name, properties, place, times[0])
    ids = _ids(properties, fields.text_id(properties, "distinct_id"))
    if ids == (None, None):
        raise InvalidRecord("the event of Mixpanel has none of `distinct_id`, `$user_id` and `$device_id`")
    event = Event(
        fields.text_id(properties, "$insert_id"),
        name,
        _KINDS.get(name, "track"),
        *ids,
        *times,
        fields.text(properties, "mp_lib"),
        properties,
        {},
        place.origin,
        id_scope=f"{name}\n{ids[0] or ids[1]}",  # what Mixpanel compares beside the `$insert_id`
    )
    return [event]


def _ids(call: Fields, distinct_id: str | None) -> tuple[str | None, str | None]:
    user_id, device_id = fields.text_id(call, "$user_id"), fields.text_id(call, "$device_id")
    if user_id is None and distinct_id is not None:
        if distinct_id.startswith(_DEVICE):
            return None, distinct_id.removeprefix(_DEVICE) or None
        if distinct_id != device_id:
            user_id = distinct_id
    return user_id, device_id


def _link(record: Fields, name: str, properties: Fields, place: Place, time: int | None) -> list[Record]:
    if name == "$merge":
        given = properties.get("$distinct_ids")
        if type(given) is not list or len(given) != 2:
            raise InvalidRecord("the `$merge` of Mixpanel has no two `$distinct_ids`")
        user, other = fields.text_id({"0": given[0]}, "0"), fields.text_id({"1": given[1]}, "1")
    elif name == "$create_alias":
        user, other = fields.text_id(properties, "distinct_id"), fields.text_id(properties, "alias")
    else:
        user = fields.text_id(properties, "$identified_id", "$user_id", "distinct_id")
        other = fields.text_id(properties, "$anon_id", "$anon_distinct_id", "$device_id")
    if user is None or other is None or user == other:
        raise InvalidRecord(f"the `{name}` of Mixpanel does not name two ids")
    if name != "$identify" and _is_device(user) and not _is_device(other):
        user, other = other, user
    return fields.link(record, place, other.removeprefix(_DEVICE), user, time, alias=name != "$identify")


def _is_device(name: str) -> bool:
    return name.startswith(_DEVICE) or is_generated(name)


def _people(record: Fields, place: Place) -> list[Record]:
    ids = _ids(record, fields.text_id(record, "$distinct_id"))
    if ids == (None, None):
        raise InvalidRecord("the people call of Mixpanel has an empty `$distinct_id`")
    times = fields.times(record, place, "$time")
    changes = operators.read_changes(record, _OPERATORS)
    changes.set.update(fields.mapping(record, "$properties"))
    records: list[Record] = []
    if not _SAID.isdisjoint(record):
        records.append(operators.update(changes, place, None, ids, times))
    records += operators.unsaid(changes, record, place)
    if not records:
        wanted = ", ".join(_OPERATORS)
        raise InvalidRecord(f"the people call of Mixpanel has none of {wanted} and `$properties`")
    return records


class _When(msgspec.Struct):
    time: Any = None


class _Peek(msgspec.Struct):
    properties: _When | None = None
    people: Any = msgspec.field(name="$distinct_id", default=None)
    at: Any = msgspec.field(name="$time", default=None)


_peek = msgspec.json.Decoder(_Peek).decode


def peek(line: bytes, _place: Place) -> Seen:
    """Return its time, and whether it is an update."""
    seen = _peek(line)
    when = seen.at if seen.properties is None else seen.properties.time
    return None if when is None else parse_time(when), seen.people is not None
