"""An id of blanks is none, as the empty text: it would make one user, or one event, of many."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.collect.batch import Member
from pipeline.decode.decode import COLLECTED, decode
from pipeline.decode.scan import scan
from pipeline.model.records import Event, Origin, PropertyUpdate, Record
from pipeline.sources.chunk import NOWHERE, RawChunk
from tests.collect.protocols.asking import asked, members_of
from tests.decode.reading import one, reason
from tests.kit.streams.shapes import read as read_by
from tests.kit.streams.shapes import shape

BLANKS = [" ", "  ", "\t", " \n "]
CALL = {"type": "track", "event": "A", "messageId": "?", "userId": "?", "anonymousId": "a"}
SHOP = shape("- event: {name: {text: A}, user_id: [user, uid], anonymous_id: device, id: key}")


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize(
    ("call", "format"),
    [
        ({"type": "event", "name": "A", "id": "?", "user_id": "?", "anonymous_id": "a"}, "native"),
        (CALL, "segment"),
        ({"event": "A", "idempotency_key": "?", "identity": "?", "user_id": "a"}, "heap"),
        ({"event_type": "A", "insert_id": "?", "user_id": "?", "device_id": "a", "time": 1}, "amplitude"),
    ],
)
def test_the_event_is_the_visitors_and_has_no_id(call: dict[str, str], format: str, blank: str) -> None:
    event = one({name: blank if text == "?" else text for name, text in call.items()}, format=format)
    assert (event.id, event.user_id, event.anonymous_id) == (None, None, "a")


@pytest.mark.parametrize("blank", BLANKS)
def test_so_it_is_in_a_shape_of_ones_own(blank: str) -> None:
    for record, user_id in [
        ({"user": blank, "device": "a", "key": blank}, None),
        ({"user": blank, "uid": 7, "device": blank}, "7"),
    ]:
        (event,) = read_by(SHOP, record)
        assert isinstance(event, Event)
        assert (event.id, event.user_id) == (None, user_id)


@pytest.mark.parametrize("blank", BLANKS)
def test_a_record_about_nobody_else_is_a_dead_letter(blank: str) -> None:
    assert "neither" in reason({"type": "event", "name": "A", "user_id": blank})
    assert "neither" in reason({"type": "user", "user_id": blank, "set": {"plan": "pro"}})
    assert "no `anonymous_id`" in reason({"type": "identify", "user_id": "u", "anonymous_id": blank})
    assert "no `distinct_id`" in reason({"event": "A", "distinct_id": blank, "properties": {}})
    (found,) = decode(None, origin=Origin("t/0", 1), key=blank.encode(), received_at=1)
    assert "nobody" in found.reason  # type: ignore[union-attr]  # a tombstone


def test_an_identify_of_nobody_is_an_update_of_the_visitor() -> None:
    update = one({"type": "identify", "userId": " ", "anonymousId": "a", "traits": {"plan": "pro"}})
    assert isinstance(update, PropertyUpdate)
    assert (update.user_id, update.anonymous_id) == (None, "a")


def test_ids_that_only_begin_with_a_blank_are_ids() -> None:
    for text in (" u1", "! ", "\x00"):
        event = one({"type": "event", "name": "A", "id": text, "user_id": text})
        assert (event.id, event.user_id) == (text, text)


@pytest.mark.parametrize(
    ("target", "call"),
    [
        ("/v1/events", {"type": "event", "name": "A", "id": "?", "user_id": "?", "anonymous_id": "a"}),
        ("/v1/batch", {"batch": [{**CALL, "timestamp": "2026-11-28T11:44:51.000Z"}]}),
        ("/v1/track", CALL),
        ("/e", {"event": "A", "uuid": "?", "distinct_id": "?", "properties": {"distinct_id": "a"}}),
        ("/api/track", {"event": "A", "idempotency_key": "?", "identity": "?", "user_id": "a"}),
    ],
)
def test_the_collector_takes_two_for_no_repeats(target: str, call: Any) -> None:
    (member,) = members_of(
        asked("POST", target, orjson.dumps(call).replace(b'"?"', b'" "'), {"origin": None})
    )
    assert (member.same, member.user) == (None, "a")
    (event,) = read_member(member)
    assert isinstance(event, Event)
    assert (event.user_id or event.anonymous_id) == "a"


def read_member(member: Member) -> list[Record]:
    return decode(member.value, format=COLLECTED, origin=Origin("c", 0), headers=list(member.headers))


@pytest.mark.parametrize("format", ["native", SHOP])
def test_an_event_in_a_chunk_is_read_as_one_alone(format: Any) -> None:
    ids = [(" ", "a"), ("u", "\t"), ("u", "a")]
    lines: list[bytes | None] = [
        orjson.dumps(
            {"type": "event", "name": "A", "id": one, "key": one, "user_id": one, "user": one}
            | {"anonymous_id": other, "device": other}
        )
        for one, other in ids
    ]
    places = list(range(len(lines)))
    found = scan(RawChunk("p", "f", places, lines, NOWHERE), format=format, wants=lambda *_: True)
    events = [one for one in found.records if isinstance(one, Event)]
    seen = [(event.id, event.user_id, event.anonymous_id) for event in events]
    assert len(found.records) == len(events)
    assert seen == [(None, None, "a"), ("u", "u", None), ("u", "u", "a")]


@pytest.mark.parametrize("blank", BLANKS)
def test_an_event_of_nobody_is_a_dead_letter_also_if_no_webhook_wants_it(blank: str) -> None:
    cases: list[tuple[Any, dict[str, Any]]] = [
        ("native", {"type": "event", "name": "A", "user_id": blank}),
        ("native", {"type": "event", "name": "A", "anonymous_id": blank}),
        ("segment", {**CALL, "userId": blank, "anonymousId": blank, "timestamp": "2026-11-28T11:44:51.000Z"}),
        (
            "posthog",
            {"event": "A", "distinct_id": blank, "properties": {}, "timestamp": "2026-11-28T11:44:51Z"},
        ),
        (SHOP, {"user": blank, "device": blank}),
    ]
    for format, record in cases:
        chunk = RawChunk("p", "f", [0], [orjson.dumps(record)], NOWHERE)
        found = scan(chunk, format=format, wants=lambda *_: False)
        assert (found.events, found.invalid) == (0, 1), record


def test_a_list_passes_over_a_blank_text_also_in_a_chunk() -> None:
    by_list = shape("- event: {name: [a, b], kind: [a, b], user_id: user}")
    record = {"a": " ", "b": "x", "user": "u"}
    chunk = RawChunk("p", "f", [0], [orjson.dumps(record)], NOWHERE)
    for (event,) in read_by(by_list, record), scan(chunk, format=by_list, wants=lambda *_: True).records:
        assert isinstance(event, Event)
        assert (event.name, event.kind) == ("x", "x")
