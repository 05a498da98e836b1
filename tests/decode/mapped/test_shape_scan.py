"""The quick roads of custom shapes give what the slow one gives: scan is decode and a filter."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.decode.decode import decode
from pipeline.decode.formats import Formats
from pipeline.decode.raw.fields import Headers
from pipeline.decode.scan import scan
from pipeline.decode.shape import Shape
from pipeline.decode.shapes import SHAPES
from pipeline.model.records import Event, Invalid, Origin, Record
from pipeline.model.sizes import Sizes
from pipeline.sources.chunk import NOWHERE, RawChunk
from tests.kit.examples import examples
from tests.kit.streams.shapes import shape

SHOP = shape(
    """
    - when: [{kind: order}, {meta.test: {ne: true}}]
      event:
        name: type
        kind: how
        user_id: [actor.id, uid]
        anonymous_id: dev
        id: eid
        time: {path: ts, unit: ms}
        received_at: got
        properties: payload
        context: {ip: meta.ip, deep: {x: meta.x}}
    - when: [{kind: visit}]
      event: {name: {text: Visit}, user_id: uid, time: at, source: src, properties: "*"}
    - when: [{kind: ping}]
      ignore: true
    - when: [{kind: many}]
      event: {each: "items[*]", name: type, user_id: ^.uid, properties: {n: n, all: [x, y]}}
      user: {user_id: uid, set: payload}
    - event: {name: type, user_id: uid, properties: {a: payload.a, b: {path: src, lower: true}, c: meta}}
    """
)
PLAIN = shape(
    '- event: {name: type, user_id: uid, time: {path: ts, unit: s}, context: payload, properties: "*"}'
)
MESSAGE = shape("- event: {name: type, user_id: [message.key, uid], properties: {k: message.headers.kind}}")

WORDS = st.sampled_from(("order", "visit", "ping", "many", "A", "B", "", "2026-11-23T12:00:00Z", "soon", "7"))
VALUES = st.recursive(
    WORDS | st.integers(-5, 2_000_000_000_000) | st.booleans() | st.none() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("id", "a", "ip", "x", "test", "type")), inner, max_size=3)
    ),
    max_leaves=4,
)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(("order", "visit", "ping", "many", "x")) | VALUES,
        "type": st.sampled_from(("A", "B")) | VALUES,
        "uid": st.sampled_from(("u", 7)) | VALUES,
        "ts": st.just(1_795_435_200_000) | VALUES,
        **dict.fromkeys(
            ("how", "actor", "dev", "eid", "got", "at", "src", "payload", "meta", "other"), VALUES
        ),
        "items": st.lists(st.fixed_dictionaries({"type": WORDS, "n": VALUES}) | VALUES, max_size=4),
    },
)


WHOLE = {
    "kind": "order", "type": "A", "how": "screen", "actor": {"id": "u"}, "dev": "d", "eid": "e", "ts": 7,
    "got": 1_795_435_200_000, "payload": {"a": 1}, "meta": {"ip": "::1", "x": 2},
}  # fmt: skip
"""With every field that is read."""


def wants_none(name: str, kind: str) -> bool:
    return False


def wants_a(name: str, kind: str) -> bool:
    return name == "A" and kind != "page"


def wants_all(name: str, kind: str) -> bool:
    return True


def chunk_of(lines: list[bytes | None]) -> RawChunk:
    offsets = list(range(len(lines)))
    headers: list[Headers | None] = [headers_of(at) for at in offsets]
    keys = [key_of(at) for at in offsets]
    return RawChunk("p", "f.jsonl", offsets, lines, NOWHERE, headers=headers, keys=keys)


def key_of(at: int) -> bytes | None:
    return b"k" if at % 3 else None


def headers_of(at: int) -> Headers:
    return (("kind", b"xy"[at % 2 : at % 2 + 1]),)


def scanned(by: Shape, lines: list[bytes | None], wants: Any) -> list[Record]:
    records = scan(chunk_of(lines), format=by, wants=wants).records
    # What came around a dead letter is put beside it by the scan alone.
    return [replace(one, message=None) if isinstance(one, Invalid) else one for one in records]


def filtered(by: Shape, lines: list[bytes | None], wants: Any) -> list[Record]:
    records = [
        one
        for at, line in enumerate(lines)
        for one in decode(
            line, format=by, origin=Origin("f.jsonl", at), headers=headers_of(at), key=key_of(at)
        )
    ]
    return [one for one in records if not isinstance(one, Event) or wants(one.name, one.kind)]


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(RECORDS | st.lists(RECORDS, max_size=2), max_size=6),
    st.sampled_from((wants_none, wants_a, wants_all)),
)
@example([{"kind": "order", "type": "A", "uid": "u", "ts": 1.5, "payload": [], "meta": None}], wants_all)
@example([{"type": "A", "uid": "u", "payload": "x"}], wants_none)
@example([WHOLE, {"kind": "visit", "uid": "u", "at": 5, "src": "web", "other": 1}], wants_all)
def test_the_quick_roads_give_what_decode_gives(records: list[Any], wants: Any) -> None:
    lines: list[bytes | None] = [orjson.dumps(record) for record in records]
    for by in (SHOP, PLAIN, MESSAGE):
        assert scanned(by, lines, wants) == filtered(by, lines, wants)


def test_a_shape_with_plain_events_has_both_quick_roads() -> None:
    assert SHOP.look is not None
    assert SHOP.plain is not None
    assert PLAIN.look is not None
    assert MESSAGE.look is None, "its users stand in the messages' keys"
    line = b'{"kind":"order","type":"B","uid":"u","ts":1795435200000,"payload":{"a":1}}'
    assert SHOP.look(line, wants_a)
    assert not SHOP.look(line.replace(b'"B"', b'"A"'), wants_a)
    assert SHOP.plain(line, Origin("f", 0), None) is not None


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"7", b'{"kind":NaN}', b"\xff", b'{"kind":"order","ts":1e999}', None]
)
def test_lines_that_are_no_records_are_judged_alike(line: bytes | None) -> None:
    for by in (SHOP, PLAIN, MESSAGE):
        assert scanned(by, [line], wants_all) == filtered(by, [line], wants_all)


def test_an_id_that_is_put_together_is_measured_whatever_its_line() -> None:
    by = shape("- event: {name: n, user_id: {join: [a, a, a, a]}}")
    sizes = Sizes(id_chars=64)
    line = orjson.dumps({"n": "A", "a": "x" * 20})
    (found,) = scan(chunk_of([line]), format=by, wants=wants_all, sizes=sizes).records
    assert isinstance(found, Invalid)
    assert "the user id has 80 characters; `limits.id` allows 64" in found.reason


def test_ignored_records_are_counted_and_not_kept() -> None:
    found = scan(chunk_of([b'{"kind":"ping"}'] * 3), format=SHOP, wants=wants_all)
    assert (found.read, found.ignored, found.records) == (3, 3, [])


def test_a_chunk_of_several_formats_keeps_its_order() -> None:
    formats = Formats(
        SHAPES["native"], topics={"shop": PLAIN, "views": SHAPES["segment"]}, files={"x.jsonl": MESSAGE}
    )
    native = b'{"type":"event","name":"N","user_id":"u"}'
    mapped = b'{"type":"M","uid":"u"}'
    segment = b'{"type":"track","event":"S","userId":"u"}'
    sources = ["shop/0", "views/3", "shop~2/0", "other/1", "a.jsonl", "b.jsonl", "shop/0"]
    lines: list[bytes | None] = [mapped, segment, mapped, native, native, mapped, None]
    parts = [None, None, None, None, None, "x.jsonl", None]
    keys = [None] * 6 + [b"u9"]
    chunk = RawChunk("p", sources, list(range(7)), lines, NOWHERE, keys=keys, parts=parts)
    found = scan(chunk, format=formats, wants=wants_all)
    assert [getattr(one, "name", "gone") for one in found.records] == ["M", "S", "M", "N", "N", "M", "gone"]
    assert [one.origin.offset for one in found.records] == list(range(7))
    assert (found.read, found.events, found.updates, found.invalid) == (7, 6, 1, 0)


def test_faults_of_a_chunk_stay_with_their_lines_in_every_run() -> None:
    formats = Formats(SHAPES["native"], topics={"shop": PLAIN})
    lines: list[bytes | None] = [
        b'{"type":"event","name":"N","user_id":"u"}',
        b"broken",
        b'{"type":"M","uid":"u"}',
    ]
    chunk = RawChunk("p", ["a/0", "shop/0", "shop/0"], [0, 1, 2], lines, NOWHERE, faults={1: "too long"})
    found = scan(chunk, format=formats, wants=wants_all)
    assert [type(one).__name__ for one in found.records] == ["Event", "Invalid", "Event"]
