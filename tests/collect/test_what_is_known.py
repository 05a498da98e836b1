"""What a job knows of users by the calls of each SDK is what the products themselves reckon.

The oracle is written from their descriptions, over people with several ids; it knows no records.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.protocols.protocol import Settings
from pipeline.collect.protocols.table import Table
from pipeline.decode.collected import collected
from pipeline.decode.decode import BY_NAME, decode
from pipeline.decode.formats import Formats
from pipeline.decode.raw.fields import Headers
from pipeline.join.links import Identity
from pipeline.join.users import Users
from pipeline.model.records import Event, Invalid, Origin, PropertyUpdate
from pipeline.store.store import Store
from tests.collect.protocols.asking import asked, members_of
from tests.kit.examples import examples

pytestmark = pytest.mark.usefixtures("unsynced")

DEVICES = [f"0190a0b1-c2d3-7e4f-8a9b-00000000000{number}" for number in range(3)]
SOURCE = "collect-0123abcd/0"
TABLE = Table(Settings(), speaks=lambda key: {key} if key in ("mixpanel", "amplitude") else None)
SHAPES = Formats(named={}, collected=collected(BY_NAME))


@dataclass(frozen=True)
class Call:
    """What is done, in no product's words."""

    kind: str
    """change; link: the device is the user, with a change; alias: without one; event; group; forget."""
    user: str
    device: str
    is_known: bool
    """Whether it names the user: else the device alone."""
    set: dict[str, Any] = field(default_factory=dict)
    once: dict[str, Any] = field(default_factory=dict)
    unset: tuple[str, ...] = ()


NAMES = st.sampled_from(["plan", "age", "x"])
VALUES = st.sampled_from(["pro", 1, 2.5, None, [1, 2], {"a": 1}])
CALLS = st.builds(
    Call,
    kind=st.sampled_from(
        ["change", "change", "change", "link", "alias", "event", "event", "group", "forget"]
    ),
    user=st.sampled_from(["u1", "u2"]),
    device=st.sampled_from(DEVICES),
    is_known=st.booleans(),
    set=st.dictionaries(NAMES, VALUES, max_size=2),
    once=st.dictionaries(NAMES, VALUES, max_size=2),
    unset=st.lists(NAMES, max_size=2, unique=True).map(tuple),
)


class People:
    """The oracle. A device that is somebody's stays theirs; where both knew something, the user's counts."""

    def __init__(self, *, unset_first: bool) -> None:
        self._unset_first = unset_first
        self._known: dict[str, dict[str, Any]] = {}
        self._owners: dict[str, str] = {}

    def take(self, call: Call) -> dict[str, Any]:
        """Return what is known of who did it, from then on."""
        who = call.user if call.is_known else self._owners.get(call.device, call.device)
        if call.kind in ("link", "alias"):
            who = call.user
            if call.device not in self._owners:
                self._owners[call.device] = who
                self._known[who] = {**self._known.pop(call.device, {}), **self._known.get(who, {})}
        known = self._known.setdefault(who, {})
        if call.kind == "forget":
            known.clear()
        if call.kind in ("change", "link"):
            if self._unset_first:
                self._drop(known, call.unset)
            known.update(call.set)
            self._fill(known, call.once)
            if not self._unset_first:
                self._drop(known, call.unset)
        return dict(known)

    def _drop(self, known: dict[str, Any], names: tuple[str, ...]) -> None:
        for name in names:
            known.pop(name, None)

    def _fill(self, known: dict[str, Any], values: dict[str, Any]) -> None:
        for name, value in values.items():
            known.setdefault(name, value)


Posted = tuple[str, dict[str, Any]]
"""A path and a member of a request to it."""


def native(call: Call) -> Iterator[Posted]:
    ids = {"user_id": call.user} if call.is_known else {"anonymous_id": call.device}
    change = {"set": call.set, "set_once": call.once, "unset": call.unset}
    match call.kind:
        case "change":
            yield "/v1/events", {"type": "user", **ids, **change}
        case "link":
            both = {"user_id": call.user, "anonymous_id": call.device}
            yield "/v1/events", {"type": "identify", **both, **change}
        case "event":
            yield "/v1/events", {"name": "Did", **ids}
        case "forget":
            yield "/v1/events", {"type": "user", **ids, "delete": True}


def segment(call: Call) -> Iterator[Posted]:
    ids = {"userId": call.user} if call.is_known else {"anonymousId": call.device}
    match call.kind:
        case "change":
            yield "/v1/batch", {"type": "identify", **ids, "traits": call.set}
        case "link":
            both = {"userId": call.user, "anonymousId": call.device}
            yield "/v1/batch", {"type": "identify", **both, "traits": call.set}
        case "alias":
            yield "/v1/batch", {"type": "alias", "previousId": call.device, "userId": call.user}
        case "group":
            yield "/v1/batch", {"type": "group", "groupId": "g", **ids, "traits": call.set}
        case "event":
            yield "/v1/batch", {"type": "track", "event": "Did", **ids}
        case "forget":
            yield "/v1/batch", {"type": "delete", **ids}


def rudderstack(call: Call) -> Iterator[Posted]:
    for path, member in segment(call):
        traits = member.pop("traits", None)
        yield path, member if traits is None else {**member, "context": {"traits": traits}}


def jitsu(call: Call) -> Iterator[Posted]:
    for _, member in segment(call):
        kind = member["type"]
        # What its pages remember of the user goes with each call: a copy, and perhaps an old one.
        stale = {} if kind in ("identify", "group") else {"context": {"traits": {"plan": "old", "x": 0}}}
        yield f"/api/s/{kind}", {**member, **stale}


def posthog(call: Call) -> Iterator[Posted]:
    change = {"$set": call.set, "$set_once": call.once, "$unset": list(call.unset)}
    of = {"$device_id": call.device, "$is_identified": call.is_known}
    who = call.user if call.is_known else call.device
    match call.kind:
        case "change":
            yield "/batch/", {"event": "$set", "distinct_id": who, "properties": {**of, **change}}
        case "link":
            told = {"$anon_distinct_id": call.device, "$device_id": call.device, **change}
            yield "/batch/", {"event": "$identify", "distinct_id": call.user, "properties": told}
        case "alias":
            told = {"distinct_id": call.user, "alias": call.device}
            yield "/batch/", {"event": "$create_alias", "distinct_id": call.user, "properties": told}
        case "group":
            group = {"$group_type": "company", "$group_key": "g", "$group_set": call.set}
            yield "/batch/", {"event": "$groupidentify", "distinct_id": who, "properties": {**of, **group}}
        case "event":
            yield "/batch/", {"event": "Did", "distinct_id": who, "properties": of}


def mixpanel(call: Call) -> Iterator[Posted]:
    who = {"$distinct_id": call.user if call.is_known else f"$device:{call.device}"}
    if call.kind == "link":
        ids = {"$identified_id": call.user, "$anon_id": f"$device:{call.device}"}
        yield "/track", {"event": "$identify", "properties": ids}
        who = {"$distinct_id": call.user}
    match call.kind:
        case "change" | "link":  # its libraries send each operator by itself
            yield "/engage", {**who, "$set": call.set}
            yield "/engage", {**who, "$set_once": call.once}
            yield "/engage", {**who, "$unset": list(call.unset)}
        case "alias":
            ids = {"distinct_id": call.user, "alias": call.device}
            yield "/track", {"event": "$create_alias", "properties": ids}
        case "event":
            yield "/track", {"event": "Did", "properties": {"distinct_id": who["$distinct_id"]}}
        case "forget":
            yield "/engage", {**who, "$delete": ""}


def amplitude(call: Call) -> Iterator[Posted]:
    ids = {"user_id": call.user} if call.is_known else {"device_id": call.device}
    change = {"$set": call.set, "$setOnce": call.once, "$unset": dict.fromkeys(call.unset, "-")}
    match call.kind:
        case "change":
            yield "/2/httpapi", {"event_type": "$identify", **ids, "user_properties": change}
        case "link":
            both = {"user_id": call.user, "device_id": call.device}
            yield "/2/httpapi", {"event_type": "$identify", **both, "user_properties": change}
        case "group":
            group = {"groups": {"company": "g"}, "group_properties": change}
            yield "/2/httpapi", {"event_type": "$groupidentify", **ids, **group}
        case "event":
            yield "/2/httpapi", {"event_type": "Did", **ids}


def heap(call: Call) -> Iterator[Posted]:
    ids = {"identity": call.user} if call.is_known else {"user_id": call.device}
    match call.kind:
        case "change" | "link":
            if call.kind == "link":
                yield "/api/v1/identify", {"user_id": call.device, "identity": call.user}
                ids = {"identity": call.user}
            yield "/api/add_user_properties", {**ids, "properties": call.set}
        case "event":
            yield "/api/track", {"event": "Did", **ids}


def in_one(path: str, members: list[dict[str, Any]]) -> Any:
    """Return the body of one request."""
    match path:
        case "/v1/batch" | "/batch/":
            return {"batch": members, "api_key": "k", "writeKey": "k"}
        case "/2/httpapi":
            return {"events": members, "api_key": "amplitude"}
        case "/api/track" | "/api/add_user_properties" if len(members) > 1:
            return {"app_id": "k", "events" if path == "/api/track" else "users": members}
        case "/api/track" | "/api/add_user_properties" | "/api/v1/identify":
            return {"app_id": "k", **members[0]}
        case one if one.startswith("/api/s/"):
            return members[0]
        case "/track":
            return [{**one, "properties": {**one["properties"], "token": "mixpanel"}} for one in members]
        case "/engage":
            return [{**one, "$token": "mixpanel"} for one in members]
    return members


@pytest.mark.parametrize(
    ("product", "says"),
    [
        (native, {"once", "unset", "forget"}),
        (segment, {"alias", "group", "forget"}),
        (rudderstack, {"alias", "group", "forget"}),
        (jitsu, {"alias", "group", "forget"}),
        (posthog, {"once", "unset", "alias", "group"}),
        (mixpanel, {"once", "unset", "alias", "forget"}),
        (amplitude, {"once", "unset", "group"}),
        (heap, set()),
    ],
    ids=lambda given: given.__name__ if callable(given) else "calls",
)
@settings(max_examples=examples(200), deadline=None)
@given(calls=st.lists(CALLS, max_size=20), members=st.integers(1, 4))
def test_the_join_knows_what_the_product_would(
    product: Callable[[Call], Iterator[Posted]], says: set[str], calls: list[Call], members: int
) -> None:
    people = People(unset_first=product is amplitude)
    expected: list[dict[str, Any]] = []
    posted: list[Posted] = []
    for call in calls:
        if call.kind in ("alias", "group", "forget") and call.kind not in says:
            continue
        call = replace(
            call,
            once=call.once if "once" in says else {},
            unset=call.unset if "unset" in says else (),
        )
        known = people.take(call)
        if call.kind in ("event", "group"):
            expected.append(known)
        posted += product(call)
    assert list(joined(posted, members)) == expected


def joined(posted: list[Posted], members: int) -> Iterator[dict[str, Any]]:
    """Yield what is known at each event of calls that are posted, so many members at most in a request."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), map_size=1 << 24)
        identity, users = Identity(store), Users(store)
        for offset, (value, headers) in enumerate(kept(posted, members)):
            for record in decode(
                value, format=SHAPES.of(SOURCE), origin=Origin(SOURCE, offset), received_at=1, headers=headers
            ):
                for key, one in identity.resolve(record):
                    assert not isinstance(one, Invalid), one.reason
                    if isinstance(one, PropertyUpdate):
                        users.apply(key, one, SOURCE)
                    elif isinstance(one, Event):
                        yield dict(users.get(key))
        store.close()


def kept(posted: list[Posted], most: int) -> Iterator[tuple[bytes | None, Headers]]:
    for path, group in groupby(posted, key=lambda one: one[0]):
        one_path = [member for _, member in group]
        step = 1 if path == "/api/v1/identify" or path.startswith("/api/s/") else most
        for start in range(0, len(one_path), step):
            body = in_one(path, one_path[start : start + step])
            for member in members_of(asked("POST", path, body), TABLE):
                yield member.value, member.headers
