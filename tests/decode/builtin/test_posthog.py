from __future__ import annotations

import orjson
import pytest

from pipeline.decode.scan import scan
from pipeline.model.records import Event, IdentityLink, PropertyUpdate
from pipeline.sources.chunk import NOWHERE, RawChunk
from tests.decode.builtin.exports.samples import CAPTURED, CLICKHOUSE, EXPORTED
from tests.decode.reading import HERE, NOON, one, read, reason


def pair(record: object, **given: str) -> tuple[PropertyUpdate, Event]:
    update, event = read(record, **given)
    assert type(update) is PropertyUpdate
    assert type(event) is Event
    return update, event


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

    def test_a_call_that_only_sets_is_no_event(self) -> None:
        for name in ("$set", "$set_once", "$unset"):
            assert (
                type(one({"event": name, "distinct_id": "u", "properties": {name: {"a": 1}}}))
                is PropertyUpdate
            )

    def test_identify_is_a_link_and_an_update_but_no_event(self) -> None:
        record = {"event": "$identify", "distinct_id": "u", "properties": {"$anon_distinct_id": "d"}}
        assert read(record) == [IdentityLink("d", "u", None, HERE)]
        assert [type(item) for item in read({**record, "$set": {"a": 1}})] == [IdentityLink, PropertyUpdate]
        nobody_else = one({"event": "$identify", "distinct_id": "u", "$set": {"a": 1}})
        assert (type(nobody_else), nobody_else.user_id) == (PropertyUpdate, "u")

    def test_create_alias_merges_the_alias_into_the_distinct_id(self) -> None:
        alias = one({"event": "$create_alias", "distinct_id": "u", "properties": {"alias": "old"}})
        assert alias == IdentityLink("old", "u", None, HERE, alias=True)
        assert "no `alias`" in reason({"event": "$create_alias", "distinct_id": "u", "properties": {}})

    def test_an_alias_goes_to_the_id_that_no_device_made(self) -> None:
        device = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
        properties = {"alias": "u", "$device_id": device}
        call = {"event": "$create_alias", "distinct_id": device, "properties": properties}
        assert one(call) == IdentityLink(device, "u", None, HERE, alias=True)
        account = {"event": "$create_alias", "distinct_id": device, "properties": {"alias": "u"}}
        assert one(account) == IdentityLink("u", device, None, HERE, alias=True)
        swapped = {"event": "$create_alias", "distinct_id": "u", "properties": {"alias": device}}
        assert one(swapped) == IdentityLink(device, "u", None, HERE, alias=True)

    def test_the_alias_of_the_python_library_goes_to_the_new_id(self) -> None:
        properties = {"alias": "u", "distinct_id": "old", "$lib": "posthog-python"}
        call = {"event": "$create_alias", "distinct_id": "old", "properties": properties}
        assert one(call) == IdentityLink("old", "u", None, HERE, alias=True)
        forced = {**call, "event": "$merge_dangerously"}
        assert one(forced) == IdentityLink("u", "old", None, HERE, alias=True)

    def test_an_offset_counts_back_from_when_the_server_had_it_whatever_the_clients_clock_says(self) -> None:
        call = {"event": "x", "distinct_id": "u", "offset": 2000, "timestamp": "2020-01-01T00:00:00Z"}
        assert one({**call, "now": "2026-11-23T12:00:02Z", "sent_at": "2020-01-01T00:00:02Z"}).time == NOON
        assert one(call, received_at=NOON + 2000).time == NOON
        assert one(call).time == 1_577_836_800_000
        assert one({**call, "offset": 10**18}, received_at=NOON).time == 1_577_836_800_000

    def test_a_row_brings_what_posthog_knew_of_the_person_before_its_event(self) -> None:
        for row in (CLICKHOUSE, EXPORTED):
            update, event = pair(row, format="posthog")
            assert (update.user_id, update.time) == ("u1", NOON)
            assert update.set == {"plan": "pro", "seats": 3}
            assert (event.id, event.name, event.time) == ("018f", "Purchase", NOON)
            assert event.properties["amount"] == 250

    def test_a_row_of_an_event_that_nobody_wants_still_brings_what_was_known(self) -> None:
        for row in (CLICKHOUSE, EXPORTED):
            chunk = RawChunk("p", "f", [0], [orjson.dumps(row)], NOWHERE)
            for format in ("auto", "posthog"):
                found = scan(chunk, format=format, wants=lambda name, kind: False)
                assert (found.events, found.updates, found.invalid) == (1, 1, 0)

    def test_a_captured_message_is_its_call_with_the_servers_id_and_moment(self) -> None:
        update, event = pair(CAPTURED)
        assert update.set == {"plan": "pro"}
        assert (event.id, event.time, event.received_at) == ("018f", NOON, NOON + 5000)

    @pytest.mark.parametrize(
        ("record", "named"),
        [
            ({**CAPTURED, "data": "{"}, "the text in `data`: not JSON"),
            ({**CAPTURED, "data": "{}"}, "no `event`"),
            ({**CLICKHOUSE, "event": "", "person_properties": "null"}, "no `event`"),
            ({**CLICKHOUSE, "properties": "[]"}, "the text in `properties` is an array"),
            ({**CLICKHOUSE, "properties": '{"a":NaN}'}, "NaN"),
            ({**CLICKHOUSE, "person_properties": "{"}, "the text in `person_properties`"),
        ],
    )
    def test_a_broken_text_is_named(self, record: dict[str, object], named: str) -> None:
        assert named in reason(record)

    def test_the_offset_counts_back_from_when_it_was_sent(self) -> None:
        call = {"event": "x", "distinct_id": "u", "offset": 2000, "sent_at": "2026-11-23T12:00:02Z"}
        assert one(call).time == NOON
        batch = {"sent_at": "2026-11-23T12:00:00Z", "batch": [{"event": "x", "distinct_id": "u"}]}
        assert one(batch).time == NOON  # without an offset and a time of its own

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
