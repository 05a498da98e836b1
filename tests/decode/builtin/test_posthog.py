from __future__ import annotations

from pipeline.model.records import Event, IdentityLink, PropertyUpdate
from tests.decode.reading import HERE, NOON, one, read


class TestPostHog:
    def test_a_distinct_id_that_is_the_device_is_anonymous(self) -> None:
        event = one({"event": "$pageview", "distinct_id": "d", "properties": {"$device_id": "d"}})
        assert (event.user_id, event.anonymous_id, event.kind) == (None, "d", "page")
        known = one({"event": "x", "distinct_id": "u", "properties": {"$device_id": "d"}})
        assert (known.user_id, known.anonymous_id) == ("u", "d")
        flagged = one({"event": "x", "properties": {"distinct_id": "q", "$is_identified": False}})
        assert (flagged.user_id, flagged.anonymous_id) == (None, "q")

    def test_set_beside_an_event_is_an_update_before_it(self) -> None:
        properties = {"$set": {"a": 1}, "$set_once": {"b": 2}, "$unset": ["c"]}
        update, event = read({"event": "x", "distinct_id": "u", "properties": properties, "$set": {"d": 3}})
        assert type(update) is PropertyUpdate
        assert (update.set, update.set_once, update.unset) == ({"a": 1, "d": 3}, {"b": 2}, ("c",))
        assert type(event) is Event

    def test_identify_is_a_link_and_an_update_but_no_event(self) -> None:
        record = {"event": "$identify", "distinct_id": "u", "properties": {"$anon_distinct_id": "d"}}
        assert read(record) == [IdentityLink("d", "u", None, HERE)]
        assert [type(item) for item in read({**record, "$set": {"a": 1}})] == [IdentityLink, PropertyUpdate]

    def test_create_alias_merges_the_alias_into_the_distinct_id(self) -> None:
        alias = one({"event": "$create_alias", "distinct_id": "u", "properties": {"alias": "old"}})
        assert alias == IdentityLink("old", "u", None, HERE, alias=True)

    def test_the_offset_counts_back_from_when_it_was_sent(self) -> None:
        call = {"event": "x", "distinct_id": "u", "offset": 2000, "sent_at": "2026-11-23T12:00:02Z"}
        assert one(call).time == NOON

    def test_autocapture_brings_its_elements_from_a_list_or_a_chain(self) -> None:
        listed = [{"tag_name": "A", "classes": ["btn"], "attr__href": "/x", "$el_text": "Go", "nth_child": 2}]
        by_list, by_chain = (
            one(
                {
                    "event": "$autocapture",
                    "distinct_id": "u",
                    "properties": {"$event_type": "submit", key: chain},
                }
            )
            for key, chain in (
                ("$elements", listed),
                ("$elements_chain", 'a.btn:attr__href="/x"nth-child="2"text="Go"'),
            )
        )
        assert by_list.kind == "submit"
        assert by_list.elements == by_chain.elements
        assert by_list.elements[0]["attributes"]["href"] == "/x"

    def test_a_chain_text_may_hold_quotes_semicolons_and_colons(self) -> None:
        chain = 'a.hover:bg-red.b:href="/x?a=1;b"text="Say \\"Go\\"; now";;body'
        event = one({"event": "$autocapture", "distinct_id": "u", "properties": {"$elements_chain": chain}})
        first, last = event.elements
        assert first["classes"] == ["hover:bg-red", "b"]
        assert first["attributes"]["href"] == "/x?a=1;b"
        assert first["text"] == 'Say "Go"; now'
        assert last["tag"] == "body"
