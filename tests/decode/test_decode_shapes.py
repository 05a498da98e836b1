from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.fields import Fields, Place
from pipeline.decode.shapes import OUR_FAULT, SHAPES, decode
from pipeline.language.formats import FORMATS
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record

HERE = Origin("a.jsonl", 7)
NOON = 1_795_435_200_000  # 2026-11-23T12:00:00Z


def read(record: Any, **given: Any) -> list[Record]:
    return decode(orjson.dumps(record), origin=HERE, **given)


def one(record: Any, **given: Any) -> Any:
    records = read(record, **given)
    assert len(records) == 1, records
    return records[0]


def reason(record: Any, **given: Any) -> str:
    found = one(record, **given)
    assert type(found) is Invalid, found
    assert found.origin == HERE
    return found.reason


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

    def test_an_alias_is_marked(self) -> None:
        assert one({"type": "alias", "previousId": "p", "userId": "u"}) == IdentityLink(
            "p", "u", None, HERE, alias=True
        )

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


class TestHeap:
    def test_identity_is_the_user_and_user_id_heaps_own_anonymous_number(self) -> None:
        known = one({"app_id": "1", "identity": "a@b.c", "event": "X", "idempotency_key": "k"})
        assert (known.user_id, known.anonymous_id, known.id) == ("a@b.c", None, "k")
        unknown = one({"app_id": "1", "user_id": 4820601923415, "event": "X"})
        assert (unknown.user_id, unknown.anonymous_id) == (None, "4820601923415")

    def test_identify_is_a_link(self) -> None:
        assert one({"app_id": "1", "user_id": "5", "identity": "s"}) == IdentityLink("5", "s", None, HERE)

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


class TestCloudEvents:
    STRUCTURED: ClassVar[dict[str, Any]] = {
        "specversion": "1.0",
        "type": "com.example.someevent",
        "time": "2026-11-23T12:00:00Z",
        "id": "1234",
        "source": "/mycontext",
        "datacontenttype": "application/json",
        "comexample": "x",
        "data": {"message": "Hello"},
    }

    def test_structured_and_binary_are_the_same_event(self) -> None:
        headers = [
            (f"ce_{key}", str(value).encode()) for key, value in self.STRUCTURED.items() if key != "data"
        ]
        headers = [item for item in headers if item[0] != "ce_datacontenttype"]
        headers.append(("content-type", b"application/json"))
        binary = decode(b'{"message": "Hello"}', origin=HERE, headers=headers)
        assert [one(self.STRUCTURED)] == binary
        assert one(self.STRUCTURED).context == {"datacontenttype": "application/json", "comexample": "x"}

    def test_the_subject_is_the_user_unless_the_data_names_one(self) -> None:
        assert one({**self.STRUCTURED, "subject": "s"}).user_id == "s"
        assert one({**self.STRUCTURED, "subject": "s", "data": {"userId": 4}}).user_id == "4"
        assert one(self.STRUCTURED).anonymous_id == "/mycontext"

    def test_data_of_any_kind_is_kept(self) -> None:
        assert one({**self.STRUCTURED, "data": [1]}).properties == {"data": [1]}
        packed = {**self.STRUCTURED, "data": None, "data_base64": "eyJhIjoxfQ=="}
        assert one(packed).properties == {"a": 1}
        assert one({**packed, "datacontenttype": "text/plain"}).properties == {"data": '{"a":1}'}

    @pytest.mark.parametrize("change", [{"specversion": "2.0"}, {"type": None}, {"data_base64": "%"}])
    def test_a_broken_one_is_invalid(self, change: dict[str, Any]) -> None:
        assert reason({**self.STRUCTURED, **change})


def test_a_tombstone_forgets_the_user_named_by_the_key() -> None:
    (update,) = decode(None, origin=HERE, key=b"u1", received_at=NOON)
    assert type(update) is PropertyUpdate
    assert update.delete
    assert (update.user_id, update.time) == ("u1", NOON)
    assert type(decode(None, origin=HERE)[0]) is Invalid


def test_a_fixed_format_takes_no_other_shape() -> None:
    call = {"type": "track", "userId": "u", "event": "A"}
    assert type(one(call, format="segment")) is Event
    assert "one of event, user" in reason(call, format="native")
    assert "neither `identity` nor" in reason(call, format="heap")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b'{"type":"event","name":"A","user_id":"u","properties":{"n":18446744073709551616}}', "64 bits"),
        (b'{"type":"event","name":"A","user_id":"u","properties":{"n":-9223372036854775809}}', "64 bits"),
        (b'{"type":"event","name":"A","user_id":"u","properties":{"n":1e400}}', "not JSON"),
        (b'{"type":"event","name":"A","user_id":"u","properties":{"n":NaN}}', "not JSON"),
        (b'{"type":"event","name":"\\ud800","user_id":"u"}', "not JSON"),
        (b'{"type":"event","name":"\xff","user_id":"u"}', "not UTF-8 at byte 24"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "nested"),
        (b"[" * 100_000, "not JSON"),
        (b"", "empty"),
        (b'{"type":"event"', "not JSON"),
    ],
)
def test_what_must_never_reach_a_body_is_refused(line: bytes, word: str) -> None:
    (found,) = decode(line, origin=HERE)
    assert type(found) is Invalid
    assert word in found.reason
    assert found.raw == line


def test_long_digits_that_are_no_long_integer_are_fine() -> None:
    text = "1" * 40
    event = one({"type": "event", "name": text, "user_id": text, "properties": {"n": 2**63, "f": 1e25}})
    assert event.properties == {"n": 2**63, "f": 1e25}


def test_every_format_but_auto_is_a_row_of_the_table() -> None:
    assert {"auto", *SHAPES} == set(FORMATS)


def test_a_fault_of_ours_costs_one_record_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(record: Fields, place: Place) -> list[Record]:
        raise ZeroDivisionError

    monkeypatch.setitem(SHAPES, "native", replace(SHAPES["native"], read=broken))
    assert reason({"type": "event"}, format="native").startswith(f"{OUR_FAULT}: ZeroDivisionError")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
KEYS = st.sampled_from(
    (
        *("type", "name", "event", "user_id", "anonymous_id", "userId", "anonymousId", "identity"),
        *("app_id", "distinct_id", "properties", "context", "traits", "set", "set_once", "unset"),
        *("delete", "time", "timestamp", "batch", "events", "users", "specversion", "source"),
        *("subject", "data", "data_base64", "elements", "$set", "$unset", "alias", "previousId"),
        *("groupId", "action", "offset", "sent_at", "now", "kind", "datacontenttype"),
    )
)
WORDS = st.sampled_from(
    (
        *("event", "user", "identify", "track", "page", "alias", "group", "delete", "1.0", "0.3"),
        *("$identify", "$autocapture", "x"),
    )
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, WORDS | JSON | st.dictionaries(KEYS, WORDS | JSON, max_size=4), max_size=6))
def test_no_object_shows_a_fault_of_ours(record: dict[str, Any]) -> None:
    text = json.dumps(record).encode()
    for format in FORMATS:
        records = decode(text, format=format, origin=HERE)
        assert records
        for found in records:
            assert type(found) is not Invalid or not found.reason.startswith(OUR_FAULT), found.reason


@given(st.binary(max_size=60))
def test_no_bytes_show_a_fault_of_ours(raw: bytes) -> None:
    for found in decode(raw, origin=HERE):
        assert type(found) is not Invalid or not found.reason.startswith(OUR_FAULT), found.reason
