from __future__ import annotations

from pipeline.model.records import IdentityLink, Invalid, PropertyUpdate
from tests.decode.reading import HERE, NOON, one, read, reason


class TestHeap:
    def test_identity_is_the_user_and_user_id_heaps_own_anonymous_number(self) -> None:
        known = one({"app_id": "1", "identity": "a@b.c", "event": "X", "idempotency_key": "k"})
        assert (known.user_id, known.anonymous_id, known.id) == ("a@b.c", None, "k")
        unknown = one({"app_id": "1", "user_id": 4820601923415, "event": "X"})
        assert (unknown.user_id, unknown.anonymous_id) == (None, "4820601923415")

    def test_identify_is_a_link(self) -> None:
        assert one({"app_id": "1", "user_id": "5", "identity": "s"}) == IdentityLink("5", "s", None, HERE)
        assert "no Heap call" in reason({"app_id": "1", "user_id": "5"})
        assert "no `event`" in reason({"app_id": "1", "user_id": "5", "event": ""})

    def test_a_call_without_a_time_is_of_when_it_was_received(self) -> None:
        call = {"app_id": "1", "user_id": "5", "event": "X"}
        assert one(call, received_at=NOON).time == NOON
        assert one({**call, "timestamp": NOON - 1}, received_at=NOON).time == NOON - 1

    def test_bulk_members_are_records_of_their_own(self) -> None:
        users = read({"app_id": "1", "users": [{"identity": "a", "properties": {"x": 1}}, {"identity": "b"}]})
        assert [type(user) for user in users] == [PropertyUpdate, Invalid]

    def test_a_hierarchy_becomes_the_element_chain(self) -> None:
        properties = {
            "type": "click",
            "target_text": "Go",
            "hierarchy": "@body;|@div;#main;|@a;.btn;[href=/x];|",
        }
        event = one({"app_id": "1", "identity": "a", "event": "click", "properties": properties})
        assert event.kind == "click"
        assert [element["tag"] for element in event.elements] == ["a", "div", "body"]
        assert event.elements[0]["attributes"] == {"href": "/x", "class": "btn"}
        assert event.elements[0]["text"] == "Go"
        assert event.elements[1]["id"] == "main"
