from __future__ import annotations

from typing import Any

import pytest

from pipeline.model.records import Event, IdentityLink, PropertyUpdate
from tests.decode.reading import HERE, NOON, one, read, reason


class TestNative:
    def test_an_event_keeps_all_its_fields(self) -> None:
        event = one(
            {
                "type": "event",
                "id": 17,
                "name": "Purchase",
                "kind": "screen",
                "user_id": "u1",
                "anonymous_id": 5,
                "time": "2026-11-23T12:00:00Z",
                "received_at": NOON + 5,
                "source": "web",
                "properties": {"amount": 5.0, "n": 5, "yes": True, "big": 2**64 - 1},
                "context": {"ip": "1.2.3.4"},
            }
        )
        assert event == Event(
            "17",
            "Purchase",
            "screen",
            "u1",
            "5",
            NOON,
            NOON + 5,
            "web",
            {"amount": 5.0, "n": 5, "yes": True, "big": 2**64 - 1},
            {"ip": "1.2.3.4"},
            HERE,
        )
        assert [type(value) for value in event.properties.values()] == [float, int, bool, int]

    def test_a_missing_time_is_the_received_one(self) -> None:
        event = one({"type": "event", "name": "A", "user_id": "u"}, received_at=NOON)
        assert (event.time, event.received_at, event.kind) == (NOON, NOON, "track")
        update = one({"type": "user", "user_id": "u", "received_at": NOON}, received_at=NOON + 5)
        assert (update.time, update.received_at) == (NOON, NOON)

    def test_an_update_takes_properties_as_set(self) -> None:
        update = one({"type": "user", "user_id": "u", "properties": {"a": 1, "b": 1}, "set": {"b": 2}})
        assert update.set == {"a": 1, "b": 2}

    def test_an_update_has_set_once_and_unset(self) -> None:
        update = one({"type": "user", "anonymous_id": "a", "set_once": {"x": 1}, "unset": ["y", "z"]})
        assert (update.user_id, update.anonymous_id) == (None, "a")
        assert (update.set, update.set_once, update.unset) == ({}, {"x": 1}, ("y", "z"))

    @pytest.mark.parametrize("record", [{"type": "user", "delete": True}, {"type": "delete"}])
    def test_a_user_can_be_deleted(self, record: dict[str, Any]) -> None:
        update = one({**record, "user_id": "u"})
        assert update.delete
        assert update.user_id == "u"

    def test_an_identify_is_a_link_and_with_properties_an_update_after_it(self) -> None:
        record = {"type": "identify", "anonymous_id": "a", "user_id": "u", "time": NOON}
        assert read(record) == [IdentityLink("a", "u", NOON, HERE)]
        link, update = read({**record, "set": {"p": 1}})
        assert type(link) is IdentityLink
        assert type(update) is PropertyUpdate
        assert update.set == {"p": 1}
        for change in ({"set_once": {"p": 1}}, {"unset": ["p"]}):
            assert [type(item) for item in read({**record, **change})] == [IdentityLink, PropertyUpdate]

    @pytest.mark.parametrize(
        ("record", "word"),
        [
            ({"type": "event", "user_id": "u"}, "`name`"),
            ({"type": "event", "name": "", "user_id": "u"}, "`name`"),
            ({"type": "event", "name": 5, "user_id": "u"}, "`name` is a number"),
            ({"type": "event", "name": "A"}, "neither `user_id` nor `anonymous_id`"),
            ({"type": "event", "name": "A", "user_id": ""}, "neither"),
            ({"type": "event", "name": "A", "user_id": True}, "`user_id` is a boolean"),
            ({"type": "event", "name": "A", "user_id": {}}, "`user_id` is an object"),
            ({"type": "event", "name": "A", "user_id": "u", "time": "soon"}, "`time`: 'soon'"),
            ({"type": "event", "name": "A", "user_id": "u", "properties": [1]}, "`properties` is an array"),
            ({"type": "event", "name": "A", "user_id": "u", "context": "x"}, "`context` is a text"),
            ({"type": "event", "name": "A", "user_id": "u", "source": 5}, "`source` is a number"),
            ({"type": "user", "set": {}}, "neither"),
            ({"type": "user", "user_id": "u", "unset": [1]}, "`unset`"),
            ({"type": "user", "user_id": "u", "delete": "yes"}, "`delete`"),
            ({"type": "identify", "user_id": "u"}, "`anonymous_id`"),
            ({"type": "sale"}, "fits none"),
            ({}, "no field at all"),
            ([], "empty"),
            (5, "a number"),
            (None, "null"),
            ("text", "a text"),
        ],
    )
    def test_what_is_broken_is_invalid_with_its_reason(self, record: Any, word: str) -> None:
        assert word in reason(record)
