from __future__ import annotations

import orjson

from pipeline.model.records import Event, IdentityLink, Invalid, PropertyUpdate
from tests.decode.reading import HERE, NOON, one, read, reason


class TestSegment:
    def test_a_page_call_is_an_event_of_kind_page(self) -> None:
        event = one(
            {"type": "page", "anonymousId": "a", "name": "Home", "category": "Docs", "messageId": "m"}
        )
        assert (event.name, event.kind, event.id) == ("Home", "page", "m")
        assert event.properties == {"category": "Docs"}
        assert one({"type": "screen", "userId": "u"}).name == "screen"

    def test_an_identify_with_both_ids_links_before_it_updates(self) -> None:
        link, update = read(
            {"type": "identify", "userId": "u", "anonymousId": "a", "traits": {"plan": "pro"}}
        )
        assert link == IdentityLink("a", "u", None, HERE)
        assert type(update) is PropertyUpdate
        assert update.set == {"plan": "pro"}

    def test_a_delete_forgets_the_user(self) -> None:
        update = one({"type": "delete", "userId": "u"})
        assert (update.user_id, update.delete) == ("u", True)

    def test_when_it_was_received_is_what_the_call_says_else_the_message(self) -> None:
        call = {"type": "track", "userId": "u", "event": "A", "timestamp": NOON}
        assert one({**call, "receivedAt": NOON + 1}, received_at=NOON + 2).received_at == NOON + 1
        assert one(call, received_at=NOON + 2).received_at == NOON + 2

    def test_an_alias_is_marked(self) -> None:
        assert one({"type": "alias", "previousId": "p", "userId": "u"}) == IdentityLink(
            "p", "u", None, HERE, alias=True
        )

    def test_a_merge_of_rudderstacks_warehouses_names_the_call_that_joins_users(self) -> None:
        merged = [{"type": "email", "value": "a@b.c"}, {"type": "mobile", "value": "+1"}]
        call = {"type": "merge", "userId": "u", "mergeProperties": merged}
        assert "`alias`" in reason(call, format="segment")

    def test_a_group_call_is_an_event(self) -> None:
        event = one({"type": "group", "userId": "u", "groupId": 9, "traits": {"n": 1}})
        assert (event.name, event.kind) == ("group", "group")
        assert event.properties == {"groupId": "9", "traits": {"n": 1}}

    def test_a_batch_shares_its_context_and_one_broken_member_costs_that_member_only(self) -> None:
        batch = {
            "context": {"ip": "1.1.1.1", "app": 1},
            "sentAt": "2026-11-23T12:00:00Z",
            "batch": [
                {"type": "track", "userId": "u", "event": "A", "context": {"app": 2}},
                {"type": "track", "userId": "u"},
                "nonsense",
                {"type": "identify", "userId": "u", "traits": {}},
            ],
        }
        event, no_name, no_object, update = read(batch)
        assert type(event) is Event
        assert (event.context, event.time) == ({"ip": "1.1.1.1", "app": 2}, NOON)
        assert type(no_name) is Invalid
        assert type(no_object) is Invalid
        assert orjson.loads(no_name.raw) == {"type": "track", "userId": "u"}
        assert no_object.raw == b'"nonsense"'
        assert type(update) is PropertyUpdate
        assert [record.origin.item for record in (event, no_name, no_object, update)] == [0, 1, 2, 3]

    def test_an_empty_batch_is_not_dropped_in_silence(self) -> None:
        assert "empty" in reason({"batch": []})
