"""What a collector wrote is read by the protocol that its headers name, and by nothing that it looks like."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.collected import PROTOCOLS, collected
from pipeline.decode.decode import BY_NAME, OUR_FAULT, decode
from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.decode.raw.fields import Headers
from pipeline.decode.scan import Scanned, scan
from pipeline.decode.shapes import SHAPES
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record
from pipeline.sources.chunk import NOWHERE, RawChunk
from pipeline.sources.peek import peek
from tests.kit.examples import examples
from tests.kit.streams.shapes import shape as own_shape

SOURCE = "collect-0123abcd/0"
RECEIVED = 1_795_445_400_123
STRIPE = own_shape(
    "- event: {name: type, id: id, user_id: data.object.customer, properties: data.object,"
    " context: {account: message.headers.stripe-account, by: message.headers.hk-key}}"
)
FORMATS = Formats(named={"stripe": STRIPE}, collected=collected({**BY_NAME, "stripe": STRIPE}))


def headers(protocol: str = "", **more: str) -> list[tuple[str, bytes | None]]:
    named = {"hk-protocol": protocol} if protocol else {}
    named |= {name.replace("_", "-"): text for name, text in more.items()}
    return [(name, text.encode()) for name, text in named.items()]


def read(
    value: Any, given: Headers | None, *, source: str = SOURCE, formats: Formats = FORMATS
) -> list[Record]:
    raw = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
    return decode(
        raw,
        format=formats.of(source),
        origin=Origin(source, 7),
        received_at=RECEIVED,
        headers=given,
        key=b"u",
    )


def one(value: Any, given: Headers | None, **more: Any) -> Any:
    (record,) = read(value, given, **more)
    assert not isinstance(record, Invalid), record.reason
    return record


def reason(value: Any, given: Headers | None, **more: Any) -> str:
    (record,) = read(value, given, **more)
    assert isinstance(record, Invalid), record
    assert OUR_FAULT not in record.reason
    return record.reason


CALL = {"event": "Bought", "properties": {"distinct_id": "d", "n": 1}}
BINARY = headers("cloudevents", ce_specversion="1.0", ce_type="Made", ce_id="1", ce_source="s").copy()
BINARY = [(name.replace("-", "_") if name.startswith("ce-") else name, text) for name, text in BINARY]


@pytest.mark.parametrize(
    ("protocol", "value", "name"),
    [
        ("native", {"type": "event", "name": "N", "user_id": "u"}, "N"),
        ("native", {"name": "N", "user_id": "u"}, "N"),
        ("segment", {"type": "track", "event": "S", "userId": "u"}, "S"),
        ("segment", {"type": "track", "event": "S", "userId": "u", "distinct_id": "d"}, "S"),
        ("posthog", {"event": "P", "distinct_id": "u", "properties": {}, "type": "track"}, "P"),
        ("posthog", CALL, "Bought"),
        ("mixpanel", CALL, "Bought"),
        ("heap", {"app_id": "", "event": "H", "identity": "u"}, "H"),
        ("heap", {"event": "H", "identity": "u", "userId": "x"}, "H"),
        (
            "cloudevents",
            {"specversion": "1.0", "type": "C", "id": "1", "source": "s", "distinct_id": "d"},
            "C",
        ),
        ("amplitude", {"event_type": "A", "user_id": "u"}, "A"),
    ],
)
def test_the_protocol_says_what_a_line_is(protocol: str, value: dict[str, Any], name: str) -> None:
    event = one(value, headers(protocol, hk_key="web"))
    assert (event.name, event.time, event.received_at) == (name, RECEIVED, RECEIVED)
    assert event.origin == Origin(SOURCE, 7)


def test_a_line_that_its_protocol_cannot_read_is_not_read_by_another() -> None:
    assert "neither `userId` nor `anonymousId`" in reason(
        {"type": "track", "event": "x", "distinct_id": "d"}, headers("segment")
    )
    assert "no `distinct_id`" in reason({"event": "x", "userId": "u", "properties": {}}, headers("posthog"))


@pytest.mark.parametrize(
    ("protocol", "word", "value", "expected"),
    [
        ("segment", "track", {"event": "S", "userId": "u"}, "S"),
        ("segment", "page", {"userId": "u"}, "page"),
        ("segment", "page", {"name": "x", "type": "screen", "userId": "u"}, "x"),
        ("segment", "identify", {"name": "x", "userId": "u", "traits": {"a": 1}}, {"a": 1}),
        ("segment", "identify", {"event": "x", "userId": "u", "context": {"traits": {"a": 2}}}, {"a": 2}),
        ("heap", "track", {"event": "H", "identity": "u"}, "H"),
        ("heap", "add_user_properties", {"event": "H", "identity": "u", "properties": {"a": 3}}, {"a": 3}),
        ("heap", "identify", {"user_id": "1", "identity": "u", "properties": {"a": 3}}, ("1", "u")),
        ("posthog", "$identify", {"distinct_id": "u", "properties": {}, "$set": {"a": 4}}, {"a": 4}),
        ("mixpanel", "engage", {"event": "x", "$distinct_id": "u", "$set": {"a": 5}}, {"a": 5}),
        ("mixpanel", "track", {"event": "x", "properties": {"distinct_id": "u"}}, "x"),
        ("amplitude", "identify", {"user_id": "u", "user_properties": {"$set": {"a": 6}}}, {"a": 6}),
    ],
)
def test_the_path_says_what_the_bytes_do_not(protocol: str, word: str, value: Any, expected: Any) -> None:
    record = one(value, headers(protocol, hk_type=word))
    if isinstance(record, IdentityLink):
        assert (record.anonymous_id, record.user_id) == expected
    else:
        assert (record.set if isinstance(record, PropertyUpdate) else record.name) == expected


@pytest.mark.parametrize(
    ("protocol", "word", "value", "said"),
    [
        ("heap", "track", {"properties": {}, "identity": "u"}, "no `event`"),
        ("heap", "add_user_properties", {"identity": "u"}, "no `properties`"),
        ("heap", "forget", {"identity": "u"}, "'forget'"),
        ("posthog", "$merge", {"distinct_id": "u"}, "'$merge'"),
        ("mixpanel", "groups", {"$group_key": "g", "$group_id": "1"}, "belong to no user"),
        ("mixpanel", "import", {}, "'import'"),
        ("amplitude", "group", {}, "'group'"),
        ("segment", "import", {"userId": "u"}, "'import'"),
    ],
)
def test_what_a_path_says_and_nobody_knows_is_a_dead_letter(
    protocol: str, word: str, value: Any, said: str
) -> None:
    assert said in reason(value, headers(protocol, hk_type=word))


def test_a_native_record_need_not_say_its_type() -> None:
    assert one({"user_id": "u", "set": {"p": 1}}, headers("native")).set == {"p": 1}
    assert one({"user_id": "u", "delete": True}, headers("native")).delete
    assert "`name` (of an event)" in reason({"nam": "x", "user_id": "u"}, headers("native"))


def test_the_shift_is_added_to_every_time_of_a_member() -> None:
    at = "2026-11-23T12:00:00Z"
    ms = 1_795_435_200_000
    given = headers("segment", hk_shift="-3600000")
    found = read(
        {"type": "identify", "userId": "u", "anonymousId": "a", "traits": {"p": 1}, "timestamp": at}, given
    )
    assert [(type(record), record.time) for record in found if not isinstance(record, Invalid)] == [
        (IdentityLink, ms - 3_600_000),
        (PropertyUpdate, ms - 3_600_000),
    ]
    assert one({"type": "track", "event": "x", "userId": "u", "timestamp": at}, given).time == ms - 3_600_000
    assert one({"type": "track", "event": "x", "userId": "u"}, headers("segment")).time == RECEIVED
    binary = [*BINARY, ("ce_time", at.encode()), ("hk-shift", b"1500")]
    assert one(None, binary).time == ms + 1500
    call = {"event": "x", "distinct_id": "u", "properties": {"$set": {"p": 1}}, "timestamp": at}
    assert [record.time for record in read(call, headers("posthog", hk_shift="7"))] == [ms + 7] * 2  # type: ignore[union-attr]  # none is dead
    far = headers("native", hk_shift="9" * 16)
    assert one({"type": "event", "name": "x", "user_id": "u", "time": at}, far).time is not None
    hook = {"type": "paid", "data": {"object": {"customer": "c"}}}
    assert one(hook, headers("hooks", hk_format="stripe", hk_shift="5")).time == RECEIVED + 5


def test_what_a_client_says_of_the_servers_clock_does_not_count() -> None:
    for field in ("receivedAt", "received_at", "now"):
        for protocol, value in (
            ("segment", {"type": "track", "event": "x", "userId": "u"}),
            ("native", {"type": "event", "name": "x", "user_id": "u"}),
            ("posthog", {"event": "x", "distinct_id": "u", "properties": {}}),
        ):
            event = one({**value, field: "2030-01-01T00:00:00Z"}, headers(protocol))
            assert (event.time, event.received_at) == (RECEIVED, RECEIVED)


def test_the_context_of_a_request_is_that_of_its_members() -> None:
    given = headers("segment", hk_context='{"ip":"1","app":"web"}')
    event = one({"type": "track", "event": "x", "userId": "u", "context": {"app": "own"}}, given)
    assert event.context == {"ip": "1", "app": "own"}
    batch = {"batch": [{"type": "track", "event": "x", "userId": "u"}], "context": {"app": "inner"}}
    assert one(batch, given).context == {"ip": "1", "app": "inner"}
    assert (
        one({"type": "track", "event": "x", "userId": "u"}, headers("segment", hk_context="[]")).context == {}
    )
    assert "`hk-context`" in reason(
        {"type": "track", "event": "x", "userId": "u"}, headers("segment", hk_context="{")
    )


def test_a_hook_is_read_by_the_shape_it_names() -> None:
    value = {"id": "e1", "type": "paid", "data": {"object": {"customer": "c", "n": 1}}}
    given = headers("hooks", hk_key="shop", hk_format="stripe", **{"stripe_account": "acct"})
    event = one(value, given)
    assert (event.id, event.name, event.user_id) == ("e1", "paid", "c")
    assert event.context == {"account": "acct", "by": "shop"}
    built_in = one({"type": "track", "event": "x", "userId": "u"}, headers("hooks", hk_format="segment"))
    assert built_in.name == "x"


@pytest.mark.parametrize(
    ("given", "said", "remedy"),
    [
        (None, "no header `hk-protocol`", "set the `format`"),
        (headers(hk_key="web"), "no header `hk-protocol`", "set the `format`"),
        (headers("avro-rpc"), "'avro-rpc'", "Update Hookline"),
        (headers("hooks"), "no header `hk-format`", "which shape"),
        (headers("hooks", hk_format="gone"), "'gone'", "put it back into config/shapes"),
        (headers("hooks", hk_format="collected"), "'collected'", "put it back into config/shapes"),
        (headers("native", hk_shift="soon"), "`hk-shift` is 'soon'", "milliseconds"),
        (headers("native", hk_shift="9" * 5000), "`hk-shift`", "milliseconds"),
    ],
)
def test_headers_that_say_nothing_known_are_a_dead_letter(
    given: Headers | None, said: str, remedy: str
) -> None:
    found = reason({"type": "event", "name": "x", "user_id": "u"}, given)
    assert said in found
    assert remedy in found


def test_a_line_without_a_value_forgets_nobody() -> None:
    for protocol in PROTOCOLS:
        if protocol != "hooks":
            assert "no value" in reason(None, headers(protocol))
    assert one(None, BINARY).name == "Made"


def test_the_headers_mean_nothing_elsewhere() -> None:
    value = {"event": "x", "distinct_id": "u", "properties": {}}
    given = headers("segment", hk_shift="1000", hk_type="identify")
    for source in ("events/0", "collect-0123abcd", "collect-0123ABCD/0", "xcollect-0123abcd/0", "r.jsonl"):
        event = one(value, given, source=source)
        assert (event.name, event.time) == ("x", RECEIVED)


def test_a_topic_or_path_may_be_collected_by_its_format() -> None:
    formats = Formats(topics={"web": BY_NAME["collected"]}, files={"x.jsonl": BY_NAME["collected"]})
    for source in ("web/3", "x.jsonl"):
        assert (
            one(
                {"userId": "u", "event": "x"},
                headers("segment", hk_type="track"),
                source=source,
                formats=formats,
            ).name
            == "x"
        )
    named = Formats(topics={"collect-0123abcd": SHAPES["heap"]})
    assert named.of(SOURCE) is SHAPES["heap"]
    assert ALL_AUTO.names(SOURCE)


def test_the_merge_of_files_sees_who_is_told_of_and_when_it_came() -> None:
    def seen(value: Any, given: Headers) -> Any:
        return peek(orjson.dumps(value), FORMATS.of(SOURCE), headers=given, received_at=5)

    assert seen({"userId": "u", "traits": {}}, headers("segment", hk_type="identify")) == (5, True)
    assert seen({"type": "identify", "userId": "u"}, headers("segment")) == (5, True)
    assert seen({"type": "track", "timestamp": 1}, headers("segment")) == (5, False)
    assert seen({"type": "user", "user_id": "u"}, headers("native")) == (5, True)
    assert seen({"x": 1}, headers("none")) == (5, False)


# --- a chunk at a time

LINES: list[tuple[Any, list[tuple[str, bytes | None]]]] = [
    ({"type": "event", "name": "A", "user_id": "u", "time": "2026-11-23T12:00:00Z"}, headers("native")),
    ({"type": "event", "name": "B", "user_id": "u"}, headers("native", hk_key="web")),
    ({"type": "event", "name": "A", "user_id": "u", "time": 1700000000}, headers("native", hk_shift="60000")),
    ({"type": "track", "event": "A", "userId": "u", "timestamp": "2026-11-23T12:00:00Z"}, headers("segment")),
    (
        {"type": "track", "event": "B", "userId": "u", "timestamp": "2026-11-23T12:00:00Z"},
        headers("segment", hk_shift="1"),
    ),
    (
        {"type": "page", "name": "B", "userId": "u", "timestamp": "2026-11-23T12:00:00Z"},
        headers("segment", hk_type="track", hk_shift="5"),
    ),
    (
        {"event": "A", "distinct_id": "d", "properties": {}, "timestamp": "2026-11-23T12:00:00Z"},
        headers("posthog", hk_shift="-5"),
    ),
    (
        {"event": "A", "distinct_id": "d", "properties": {}, "timestamp": "2026-11-23T12:00:00Z"},
        headers("posthog", hk_shift="soon"),
    ),
    ({"event": "B", "userId": "u"}, headers("segment", hk_type="track", hk_context='{"a":1}')),
    ({"traits": {"p": 1}, "userId": "u", "anonymousId": "a"}, headers("segment", hk_type="identify")),
    (
        {"event": "A", "distinct_id": "d", "properties": {}, "timestamp": "2026-11-23T12:00:00Z"},
        headers("posthog"),
    ),
    ({"type": "B", "id": "1", "data": {"object": {"customer": "c"}}}, headers("hooks", hk_format="stripe")),
    (
        {"type": "A", "id": "1", "data": {"object": {"customer": "c"}}},
        headers("hooks", hk_format="stripe", hk_shift="4"),
    ),
    ({"x": 1}, headers("hooks", hk_format="none")),
    ({"x": 1}, headers("other")),
    ({"x": 1}, []),
    (None, BINARY),
    (b"{NaN", headers("native")),
    ({"type": "event", "name": "A", "user_id": "u" * 9000}, headers("native")),
]


def chunk(lines: list[tuple[Any, list[tuple[str, bytes | None]]]]) -> RawChunk:
    raws = [
        value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
        for value, _ in lines
    ]
    number = len(lines)
    return RawChunk(
        "p", [SOURCE] * number, list(range(number)), raws, NOWHERE,
        [RECEIVED + at for at in range(number)], [given or None for _, given in lines], [b"k"] * number,
    )  # fmt: skip


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=40), st.sampled_from(["A", "B", "none"]))
def test_a_chunk_gives_what_its_lines_give(lines: list[tuple[Any, Any]], wanted: str) -> None:
    made = chunk(lines)
    found = scan(made, format=FORMATS, wants=lambda name, kind: name == wanted)
    expected = Scanned()
    for at, line in enumerate(made.lines):
        for record in decode(
            line, format=FORMATS.of(SOURCE), origin=Origin(SOURCE, at), received_at=RECEIVED + at,
            headers=lines[at][1] or None, key=b"k",
        ):  # fmt: skip
            if (
                isinstance(record, Event)
                and record.name == wanted
                and record.user_id
                and len(record.user_id) > 8000
            ):
                continue
            if not isinstance(record, Event) or record.name == wanted:
                expected.records.append(record)
    got = [
        record
        for record in found.records
        if not (isinstance(record, Invalid) and "characters" in record.reason)
    ]
    for record in got:
        if isinstance(record, Invalid):
            assert record.message is not None
            record.message = None
    assert got == expected.records
    assert found.read == sum(
        len(decode(line, format=FORMATS.of(SOURCE), origin=Origin(SOURCE, 0), headers=lines[at][1])) and 1
        for at, line in enumerate(made.lines)
    )


def test_a_dead_letter_keeps_what_the_headers_say() -> None:
    made = chunk([({"x": 1}, headers("segment", hk_key="web", hk_shift="3"))])
    (dead,) = scan(made, format=FORMATS, wants=lambda name, kind: True).records
    assert isinstance(dead, Invalid)
    assert dead.message is not None
    assert dict(dead.message.headers) == {"hk-protocol": b"segment", "hk-key": b"web", "hk-shift": b"3"}
