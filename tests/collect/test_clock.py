"""What the collector says of a member is what the job will read: who, and when it counts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.protocols.protocol import Clock, Settings
from pipeline.collect.protocols.table import Table
from pipeline.decode.decode import COLLECTED, decode
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record
from pipeline.model.times import format_iso
from tests.collect.protocols.asking import NOW, PAGE, TABLE, asked, cut, headers_of, members_of
from tests.kit.examples import examples


def read(member: Any) -> list[Record]:
    return decode(
        member.value, format=COLLECTED, origin=Origin("s", 0), received_at=NOW, headers=member.headers
    )


def segment(call: dict[str, object], sent: object) -> Any:
    renamed = {"user": "userId", "anonymous": "anonymousId", "time": "timestamp"}
    body = {renamed[name]: value for name, value in call.items()}
    return "/v1/batch", {"batch": [{"type": "track", "event": "A", **body}], "sentAt": sent}


def posthog(call: dict[str, object], sent: object) -> Any:
    renamed = {"user": "distinct_id", "anonymous": "$distinct_id", "time": "timestamp"}
    body = {renamed[name]: value for name, value in call.items()}
    return "/batch/", {"api_key": "k", "batch": [{"event": "A", "properties": {}, **body}], "sent_at": sent}


def amplitude(call: dict[str, object], sent: object) -> Any:
    renamed = {"user": "user_id", "anonymous": "device_id", "time": "time"}
    body = {renamed[name]: value for name, value in call.items()}
    return "/2/httpapi", {"api_key": "k", "events": [{"event_type": "A", **body}], "client_upload_time": sent}


def heap(call: dict[str, object], sent: object) -> Any:
    renamed = {"user": "identity", "anonymous": "user_id", "time": "timestamp"}
    body = {renamed[name]: value for name, value in call.items()}
    return "/api/track", {"app_id": "k", "event": "A", **body}


def native(call: dict[str, object], sent: object) -> Any:
    renamed = {"user": "user_id", "anonymous": "anonymous_id", "time": "time"}
    return "/v1/events", {"type": "event", "name": "A", **{renamed[name]: v for name, v in call.items()}}


def cloudevents(call: dict[str, object], sent: object) -> Any:
    renamed = {"user": "subject", "anonymous": "anonymousid", "time": "time"}
    body = {renamed[name]: value for name, value in call.items()}
    return "/events", {"specversion": "1.0", "id": "1", "source": "/s", "type": "A", **body}


def mixpanel(call: dict[str, object], sent: object) -> Any:
    renamed = {"user": "$user_id", "anonymous": "$device_id", "time": "time"}
    return "/import", {"event": "A", "properties": {renamed[name]: v for name, v in call.items()}}


def mixpanel_people(call: dict[str, object], sent: object) -> Any:
    renamed = {"user": "$user_id", "anonymous": "$device_id", "time": "$time"}
    body = {renamed[name]: value for name, value in call.items()}
    return "/engage", {"$token": "mp", "$distinct_id": "d", "$set": {"a": 1}, **body}


def heap_people(call: dict[str, object], sent: object) -> Any:
    return "/api/add_user_properties", {**heap(call, sent)[1], "properties": {"a": 1}}


def amplitude_people(call: dict[str, object], sent: object) -> Any:
    _, body = amplitude(call, sent)
    whose = {**body["events"][0], "event_type": None, "user_properties": {"a": 1}}
    return "/identify", {"api_key": "k", "client_upload_time": sent, "identification": [whose]}


def segment_people(call: dict[str, object], sent: object) -> Any:
    _, body = segment(call, sent)
    return "/v1/batch", {**body, "batch": [{**body["batch"][0], "type": "identify", "traits": {"a": 1}}]}


def native_people(call: dict[str, object], sent: object) -> Any:
    return "/v1/events", {**native(call, sent)[1], "type": "user", "set": {"a": 1}}


EVENTS = [native, segment, posthog, heap, cloudevents, amplitude, mixpanel]
PEOPLE = [native_people, segment_people, heap_people, amplitude_people, mixpanel_people]
_ids = st.text(max_size=6) | st.integers() | st.none() | st.floats(allow_nan=False, allow_infinity=False)
_near = st.integers(NOW - 10**10, NOW + 10**10)
_times = (
    _near
    | _near.map(lambda ms: ms / 1000)
    | _near.map(format_iso)
    | st.integers()
    | st.sampled_from(
        ["", None, "soon", "2026-11-28", "2026-11-28 11:44:51", "2026-W48-6T11:44:51+05:30", 1e300]
    )
    | st.sampled_from(["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-11-28T11:45:50.999Z", True, []])
)
_calls = st.fixed_dictionaries({}, optional={"user": _ids, "anonymous": _ids, "time": _times})


@pytest.mark.parametrize("protocol", [*EVENTS, *PEOPLE])
@settings(max_examples=examples(30))
@given(call=_calls, sent=_times)
def test_the_collector_and_the_job_agree(protocol: Any, call: dict[str, object], sent: object) -> None:
    target, body = protocol(call, sent)
    request = asked("POST", target, body, {"authorization": "Basic azo="} if target == "/import" else {})
    table = Table(Settings(), speaks=lambda key: {"mixpanel"} if key == "mp" else None)
    (member,) = cut(request, table).batch("web", request).members
    for record in read(member):
        if isinstance(record, (Event, PropertyUpdate)):
            if protocol is mixpanel_people and member.at_ms == 0:
                assert record.time in (0, NOW), "without a time: it goes first, and counts as come now"
            else:
                assert record.time == (NOW if member.at_ms is None else member.at_ms)
            assert (record.time or 0) <= NOW + 60_000
            assert member.user == (record.user_id or record.anonymous_id)
            # A server's members need no order, and their times are not read: what counts is the same.
            bare = asked("POST", target, body, {**request.headers})
            del bare.headers["origin"]  # type: ignore[attr-defined]  # a dict here
            (other,) = cut(bare, table).batch("web", bare).members
            assert headers_of(other) == headers_of(member)
            assert other.at_ms in (None, member.at_ms)
        else:
            assert isinstance(record, (Invalid, IdentityLink))


@pytest.mark.parametrize(
    ("clock", "off_ms", "counts"),
    [
        (Clock(), 3_600_000, NOW),
        (Clock(), 5_001, NOW),
        (Clock(), 5_000, NOW + 5_000),
        (Clock(), -5_000, NOW - 5_000),
        (Clock(correct=False), -3_600_000, NOW - 3_600_000),
        (Clock(correct=False), 3_600_000, NOW),
        (Clock(tolerance_ms=0), 1, NOW),
        (Clock(max_future_ms=7_200_000, correct=False), 3_600_000, NOW + 3_600_000),
    ],
)
def test_the_clock_is_put_right_as_it_is_configured(clock: Clock, off_ms: int, counts: int) -> None:
    target, body = segment({"user": "u1", "time": format_iso(NOW + off_ms)}, format_iso(NOW + off_ms))
    for headers in ({}, {"origin": ""}):
        request = asked("POST", target, body, headers)
        (member,) = cut(request, Table(Settings(clock=clock))).batch("web", request).members
        (event,) = read(member)
        assert isinstance(event, Event)
        assert event.time == counts


def test_a_replay_gives_the_same_times() -> None:
    target, body = segment({"user": "u1", "time": NOW - 3_600_000}, NOW - 3_600_000)
    request = asked("POST", target, body)
    (member,) = cut(request, TABLE).batch("web", request).members
    assert {record.time for _ in range(2) for record in read(member) if isinstance(record, Event)} == {NOW}


IDS: st.SearchStrategy[object] = st.sampled_from(
    [None, "", "u1", "a\u00e9", 7, 7.5, True, ["u"], {}, "\ud800"]
)
TIMES: st.SearchStrategy[object] = st.sampled_from(
    [
        None, "", 5, [], "yesterday, at noon, UTC.", "2026-11-28T11:44:51+00:0Z", "2026-11-28T11:44:51Z",
        "2026-11-28T11:44:51.000Z", "2026-11-28 11:44:51.000Z", "9999-11-28T11:44:51.000Z",
    ]
)  # fmt: skip
CALLS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["userId", "user_id", "anonymousId", "anonymous_id", "messageId", "previousId"], IDS),
        **dict.fromkeys(["timestamp", "sentAt", "receivedAt", "originalTimestamp"], TIMES),
        "type": st.sampled_from(["track", None, 5]),
    },
)
ODD: dict[str, object] = {"messageId": 5}
"""With it among them, calls are looked at one by one."""


@settings(max_examples=examples(150))
@given(st.lists(CALLS, min_size=1, max_size=3), TIMES)
def test_calls_that_are_looked_at_together_are_what_each_is_by_itself(
    calls: list[dict[str, object]], sent: object
) -> None:
    def kept(*calls: dict[str, object]) -> list[Any]:
        body = {"batch": list(calls), "sentAt": sent}
        return list(members_of(asked("POST", "/v1/batch", body, {"origin": None})))

    assert kept(*calls) == kept(*calls, ODD)[:-1]


@settings(max_examples=examples(100))
@given(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(["id", "user_id", "anonymous_id"], IDS),
            "time": TIMES,
            "type": st.sampled_from(["event", "user"]),
        },
    )
)
def test_a_record_alone_is_what_it_is_among_others(record: dict[str, object]) -> None:
    body = json.dumps(record)
    for origin in (PAGE, None):
        (alone,) = members_of(asked("POST", "/v1/events", body, {"origin": origin}))
        assert alone == members_of(asked("POST", "/v1/events", f"{body}\n{{}}", {"origin": origin}))[0]
