"""How lines become messages: topic, key, time. Writing them is tested on a real broker (tests/kafka)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.app import run
from pipeline.decode.decode import BY_NAME, decode
from pipeline.decode.shape import Shape
from pipeline.model.records import Event, Origin, PropertyUpdate
from pipeline.recording.native_lines import native_line
from pipeline.recording.produce import Order, Part, _parts
from pipeline.sources.files.lines.recorded import Message
from tests.kit.programs.run import Bench
from tests.kit.streams.shapes import shape

ORIGIN = Origin("file", 0)


def parts(
    value: Any,
    *,
    key: bytes | None = None,
    time: int | None = None,
    headers: Any = None,
    format: Shape | None = None,
) -> list[Part]:
    raw = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
    return _parts(Message("file", 0, time, key, headers, raw), format, is_fault=False)


def test_an_event_goes_as_it_is_keyed_by_its_user() -> None:
    raw = b'{"type":"event", "name":"A","user_id":"u1","time":"2026-01-01T00:00:00Z"}'
    (part,) = parts(raw)
    assert (part.value, part.key, part.is_update, part.time) == (raw, b"u1", False, 1767225600000)


def test_an_anonymous_event_is_keyed_by_its_anonymous_id() -> None:
    (part,) = parts({"type": "event", "name": "A", "anonymous_id": "a1"})
    assert part.key == b"a1"


@pytest.mark.parametrize(
    "value",
    [
        {"type": "user", "user_id": "u1", "set": {"plan": "pro"}},
        {"type": "identify", "user_id": "u1", "anonymous_id": "a1", "set": {"plan": "pro"}},
    ],
)
def test_updates_and_links_are_updates_of_the_user(value: Any) -> None:
    (part,) = parts(value)
    assert (part.key, part.is_update) == (b"u1", True)


def test_a_recorded_tombstone_stays_one() -> None:
    (part,) = parts(None, key=b"u9", time=7)
    assert (part.value, part.key, part.is_update, part.time) == (None, b"u9", True, 7)


def test_a_recorded_message_keeps_its_key_headers_and_time() -> None:
    headers = [("h", b"1")]
    (part,) = parts({"type": "event", "name": "A", "user_id": "u1"}, key=b"other", time=7, headers=headers)
    assert (part.key, part.headers, part.time) == (b"other", headers, 7)


def test_an_envelope_of_several_users_is_taken_apart() -> None:
    members = [
        {"type": "track", "event": "A", "userId": "u1", "properties": {"n": 1}},
        {"type": "identify", "userId": "u2", "traits": {"plan": "pro"}},
        {"type": "track", "userId": "u3"},
    ]
    found = parts({"batch": members})
    assert [(part.key, part.is_update, part.is_invalid) for part in found] == [
        (b"u1", False, False),
        (b"u2", True, False),
        (None, False, True),
    ]
    (event,) = decode(found[0].value, origin=ORIGIN)
    assert isinstance(event, Event)
    assert (event.name, event.properties) == ("A", {"n": 1})


SHOP = """
- when: [{kind: order}]
  event: {name: {text: Order}, user_id: uid, time: {path: ts, unit: s}}
- when: [{kind: profile}]
  user: {user_id: uid, set: has}
- when: [{kind: ping}]
  ignore: true
"""


@pytest.mark.parametrize(
    ("line", "key", "is_update", "is_invalid"),
    [
        ({"kind": "order", "uid": 7, "ts": 1767225600}, b"7", False, False),
        ({"kind": "profile", "uid": 7, "has": {"a": 1}}, b"7", True, False),
        ({"kind": "ping"}, None, False, False),
        ({"kind": "order"}, None, False, True),
        ({"type": "event", "name": "A", "user_id": "u1"}, None, False, True),
    ],
)
def test_a_line_of_an_own_shape_goes_as_it_is_keyed_by_its_user(
    line: Any, key: bytes | None, is_update: bool, is_invalid: bool
) -> None:
    raw = json.dumps(line).encode()
    (part,) = parts(raw, format=shape(SHOP))
    assert (part.value, part.key, part.is_update, part.is_invalid) == (raw, key, is_update, is_invalid)
    assert part.time == (1767225600000 if "ts" in line else None)


def test_lines_of_a_named_shape_are_never_taken_apart() -> None:
    members = [
        {"type": kind, "event": "A", "userId": f"u{n}"} for n, kind in enumerate(["track", "identify"])
    ]
    (part,) = parts({"batch": members}, format=BY_NAME["segment"])
    assert (part.value, part.key, part.is_update) == (orjson.dumps({"batch": members}), b"u0", False)


def test_an_envelope_of_one_user_stays_together() -> None:
    value = {"batch": [{"type": "track", "event": name, "userId": "u1"} for name in "AB"]}
    (part,) = parts(value)
    assert part.value == orjson.dumps(value)


def test_what_is_no_record_goes_to_the_events_as_it_is() -> None:
    (part,) = parts(b"\xff not json")
    assert (part.value, part.key, part.is_update, part.is_invalid) == (b"\xff not json", None, False, True)


@given(st.lists(st.tuples(st.booleans(), st.none() | st.integers(0, 20)), max_size=30))
def test_merging_by_the_given_times_gives_the_order_of_the_lines(rows: list[tuple[bool, int | None]]) -> None:
    order = Order()
    times = [order.after(time, is_update=is_update) for is_update, time in rows]
    assert times == sorted(times)
    assert all(time > 0 for time in times), "Kafka takes 0 for the present"
    lines = [
        (time, not is_update, index)
        for index, (time, (is_update, _)) in enumerate(zip(times, rows, strict=True))
    ]
    assert sorted(lines) == lines, "with updates first at equal times"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
mappings = st.dictionaries(st.text(min_size=1, max_size=5), json_values, max_size=3)
ids = st.text(min_size=1, max_size=8).filter(lambda text: text == text.strip())
times = st.none() | st.integers(946684800000, 4102444800000)


@given(ids, st.none() | ids, times, mappings, mappings)
def test_an_event_in_native_form_decodes_to_itself(
    user: str, event_id: str | None, time: int | None, properties: Any, context: Any
) -> None:
    event = Event(event_id, "Purchase", "screen", user, "a1", time, time, "ios", properties, context, ORIGIN)
    assert decode(native_line(event), origin=ORIGIN) == [event]


@given(ids, times, mappings, mappings, st.lists(ids, max_size=3))
def test_an_update_in_native_form_decodes_to_itself(
    user: str, time: int | None, first: Any, once: Any, unset: list[str]
) -> None:
    update = PropertyUpdate(None, user, None, time, time, None, first, once, tuple(unset), ORIGIN)
    assert decode(native_line(update), origin=ORIGIN) == [update]
    gone = PropertyUpdate(None, user, None, time, time, None, {}, {}, (), ORIGIN, delete=True)
    assert decode(native_line(gone), origin=ORIGIN) == [gone]


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--format", "segmnt", "a.jsonl"], "`segment`"), (["--format", "heap", "--generate"], "own form")],
)
def test_a_format_that_cannot_be_is_told_before_any_broker_is_asked(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(tmp_path, settings="{source: {jsonl: {paths: [x.jsonl]}}}")
    bench.webhook("w", "http://127.0.0.1:9/x")
    (bench.config / "x.jsonl").touch()
    assert run(["produce", *words, "--brokers", "127.0.0.1:9", "-c", str(bench.config)]) == 2
    assert told in capsys.readouterr().err
