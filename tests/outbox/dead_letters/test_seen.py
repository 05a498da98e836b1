"""Dead letters of what could not be rendered: event and user come back as they were."""

from __future__ import annotations

import orjson

from pipeline.language.paths import event_view, user_view
from pipeline.model.records import Event, Origin, User
from pipeline.outbox.codec import DeadLetter, delivery_key, pack_dead, unpack_dead
from pipeline.outbox.handover import Request
from pipeline.outbox.reading.dead_letter_json import as_json_value
from pipeline.outbox.seen import event_and_user, seen_of

ORIGIN = Origin("caf\udce9.jsonl", 42, 3)
"""A file name that is no text."""


def event() -> Event:
    return Event(
        id="e1",
        name="Click",
        kind="click",
        user_id="u1",
        anonymous_id="a1",
        time=1_750_000_000_123,
        received_at=-1,
        source="web",
        properties={"n": 2**64 - 1, "x": 1.0, "deep": [{"a": None, "b": True}]},
        context={"page": {"path": "/"}},
        origin=ORIGIN,
        elements=[{"tag": "a", "classes": ["buy"], "attributes": {"href": "/x"}}],
    )


USER = User("u1", "a1", True, {"plan": "pro"}, {"plan": "free"})


def letter(body: bytes) -> DeadLetter:
    request = Request(key=delivery_key("w", ORIGIN), webhook_id="w", body=body, user="u:u1", created_ms=1)
    return unpack_dead(pack_dead(DeadLetter(kind="render", reason="why", dead_ms=2, request=request)))


def test_event_and_user_come_back_with_every_field() -> None:
    assert event_and_user(letter(seen_of(event(), USER))) == (event(), USER)


def test_a_letter_of_an_older_version_is_read_as_far_as_it_goes() -> None:
    views = {"event": event_view(event()), "user": user_view(USER)}
    given, user = event_and_user(letter(orjson.dumps(views)))
    assert event_view(given) == event_view(event())
    assert (given.origin, given.elements) == (ORIGIN, None)
    assert user == User("u1", "a1", True, {"plan": "pro"})


def test_people_are_shown_what_a_template_names() -> None:
    shown = as_json_value(letter(seen_of(event(), USER)))["request"]["body"]
    assert orjson.loads(shown) == {"event": event_view(event()), "user": user_view(USER)}
