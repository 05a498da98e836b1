from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.auto import AUTO
from pipeline.decode.decode import BY_NAME, OUR_FAULT, decode, member_of
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.shapes import SHAPES
from pipeline.language.formats import FORMATS, RECORDING
from pipeline.model.records import Event, Invalid, PropertyUpdate, Record
from tests.decode.reading import HERE, NOON, one, reason
from tests.kit.examples import examples


def test_a_tombstone_s_key_may_be_written_as_json() -> None:
    (gone,) = decode(None, origin=HERE, key=b'"u1"')
    assert isinstance(gone, PropertyUpdate)
    assert (gone.user_id, gone.delete) == ("u1", True)


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
    assert "set `format: segment`" in reason(call, format="heap")
    assert "neither `identity` nor" in reason({"event": "A"}, format="heap")


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


@pytest.mark.parametrize("format", ["auto", "native", "kafka-connect"])
def test_a_record_that_was_encoded_twice_is_what_the_text_holds(format: str) -> None:
    """As Debezium's outbox router writes it."""
    record = {"type": "event", "name": "A", "user_id": "u", "properties": {"n": 5}}
    text = orjson.dumps(record).decode()
    twice: Any = {"schema": {"type": "string"}, "payload": text} if format == "kafka-connect" else text
    assert one(twice, format=format) == one(record)
    both = orjson.dumps(f"[{text},{text}]")
    assert [event.user_id for event in decode(both, origin=HERE)] == ["u", "u"]  # type: ignore[union-attr]  # events
    assert member_of(both, 1, AUTO) == text.encode(), "not all of the line for each member"
    for line, word in (
        (b'"{\\"n\\":18446744073709551616}"', "64 bits"),
        (b'"{oops}"', "not JSON"),
        (b'"x"', "a text"),
    ):
        (found,) = decode(line, origin=HERE)
        assert type(found) is Invalid
        assert word in found.reason
        assert found.raw == line


def test_long_digits_that_are_no_long_integer_are_fine() -> None:
    text = "1" * 40
    event = one({"type": "event", "name": text, "user_id": text, "properties": {"n": 2**63, "f": 1e25}})
    assert event.properties == {"n": 2**63, "f": 1e25}


def test_every_format_is_a_shape() -> None:
    assert set(BY_NAME) == {*FORMATS, RECORDING}


def test_a_fault_of_ours_costs_one_record_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(record: Fields, place: Place) -> list[Record]:
        raise ZeroDivisionError

    monkeypatch.setitem(BY_NAME, "native", replace(SHAPES["native"], read=broken))
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
        *("event_type", "event_name", "user_properties", "device_id", "event_params", "event_time"),
        *("$distinct_id", "$set_once", "$delete", "$properties", "$user_id", "$device_id", "$merge"),
        *("collector_tstamp", "contexts_x_1", "unstruct_event_x_1", "httpPayload", "message_id"),
        *("event_timestamp", "items", "ecommerce", "person_properties", "eventn_ctx", "identification"),
    )
)
WORDS = st.sampled_from(
    (
        *("event", "user", "identify", "track", "page", "alias", "group", "delete", "1.0", "0.3"),
        *("$identify", "$autocapture", "$create_alias", "$merge", "$groupidentify", "x"),
    )
)


@settings(max_examples=examples(400), deadline=None)
@given(st.dictionaries(KEYS, WORDS | JSON | st.dictionaries(KEYS, WORDS | JSON, max_size=4), max_size=6))
def test_no_object_shows_a_fault_of_ours(record: dict[str, Any]) -> None:
    text = json.dumps(record).encode()
    for format in FORMATS:
        records = decode(text, format=format, origin=HERE)
        assert records
        for found in records:
            assert type(found) is not Invalid or not found.reason.startswith(OUR_FAULT), found.reason


@given(st.binary(max_size=60), st.sampled_from(FORMATS))
def test_no_bytes_show_a_fault_of_ours(raw: bytes, format: str) -> None:
    for found in decode(raw, format=format, origin=HERE):
        assert type(found) is not Invalid or not found.reason.startswith(OUR_FAULT), found.reason
