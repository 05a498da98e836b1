"""scan() must give what decode() and a filter give, whatever the line is."""

from __future__ import annotations

import json
import tarfile
from itertools import product
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.decode.decode import OUR_FAULT, decode
from pipeline.decode.scan import Scanned, scan
from pipeline.language.formats import FORMATS
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate
from pipeline.recording.shop import Shop
from pipeline.sources.chunk import NOWHERE, RawChunk
from tests.kit.examples import examples
from tests.kit.streams.samples import shared_data

SEEDS: list[dict[str, Any]] = [
    {
        "type": "event",
        "id": "e1",
        "name": "A",
        "user_id": "u",
        "time": "2026-11-23T12:00:00Z",
        "source": "web",
        "properties": {"n": 12345678901234567890, "s": "a\\u00e9é", "deep": [[{"x": [1.5e10]}]]},
        "context": {"ip": "1"},
    },
    {"type": "event", "name": "B", "kind": "page", "anonymous_id": "a", "time": 1700000000},
    {"type": "event", "name": "A", "user_id": "u", "elements": []},
    {"type": "user", "user_id": "u", "set": {"p": 1}},
    {"type": "identify", "user_id": "u", "anonymous_id": "a", "set": {"p": 1}},
    {"type": "track", "userId": "u", "event": "A", "timestamp": "2026-11-23T12:00:00Z", "messageId": "m"},
    {
        "type": "page",
        "anonymousId": "a",
        "timestamp": "2015-05-17T10:05:03+0000",
        "properties": {"path": "/"},
    },
    {"type": "track", "userId": "u", "event": "A", "distinct_id": "d", "timestamp": "2026-11-23T12:00:00Z"},
    {"type": "track", "userId": "u", "event": "A", "specversion": "1.0"},
    {
        "batch": [
            {"type": "track", "userId": "u", "event": "A"},
            {"type": "track", "userId": "u", "event": "B"},
        ]
    },
    {"event": "A", "distinct_id": "d", "timestamp": "2026-11-23T12:00:00Z", "properties": {"$lib": "web"}},
    {"event": "A", "distinct_id": "d", "timestamp": "2026-11-23T12:00:00Z", "properties": {"$set": {"x": 1}}},
    {"event": "A", "properties": {"distinct_id": "d"}, "timestamp": "2026-11-23T12:00:00Z", "$unset": ["x"]},
    {"event": "$identify", "distinct_id": "d", "properties": {"$anon_distinct_id": "a"}},
    {"event": "$autocapture", "distinct_id": "d", "properties": {"$elements_chain": "a.b"}},
    {"app_id": "1", "identity": "i", "event": "A", "timestamp": "2017-03-10T22:21:56+00:00"},
    {"app_id": "1", "events": [{"identity": "i", "event": "A"}, {"event": "B"}]},
    {"specversion": "1.0", "type": "A", "source": "s", "id": "1", "data": {"x": 1}},
]

EMPTY = dict.fromkeys(("id", "kind", "source", "time", "anonymous_id"), "")
NAMES = [
    *{key for seed in SEEDS for key in seed},
    "now",
    "uuid",
    "receivedAt",
    "received_at",
    "channel",
    "zzz",
]
VALUES: list[Any] = [
    None,
    "",
    "A",
    "soon",
    "0001-01-01",
    "9999-12-31T23:59:59-14:00",
    5,
    1e25,
    True,
    0,
    False,
    [],
    {},
    {"$set": 1},
    {"distinct_id": 5},
    "\x00",
]
SPLICES = [
    b"\xff",
    b"\\ud800",
    b"\\uDFFF",
    b"\\q",
    b"\x01",
    b"\n",
    b"[" * 250,
    b'{"a":' * 250,
    b"99999999999999999999999",
    b"-9223372036854775809",
    b"NaN",
    b"01",
    b"1.",
    b".5",
    b"+1",
    b"1e5",
    b'"',
    b",",
    b"}",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"//x",
    b"'",
]


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A good record with fields changed, then perhaps bytes spliced in, cut or removed."""
    record = dict(draw(st.sampled_from(SEEDS)))
    for name, value in draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=2)):
        record[name] = value
    for name in draw(st.lists(st.sampled_from(sorted(record)), max_size=1)) if record else []:
        del record[name]
    line = orjson.dumps(record)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(line)))
        gap = draw(st.integers(0, 3))
        line = line[:at] + draw(st.sampled_from(SPLICES)) + line[at + gap :]
    return line


def wants_a(name: str, kind: str) -> bool:
    return name == "A"


def wants_pages(name: str, kind: str) -> bool:
    return kind == "page"


def wants_all(name: str, kind: str) -> bool:
    return True


def wants_none(name: str, kind: str) -> bool:
    return False


def chunk_of(given_lines: list[bytes | None]) -> RawChunk:
    return RawChunk("p", "f.jsonl", [at * 1000 for at in range(len(given_lines))], given_lines, NOWHERE)


def expected(chunk: RawChunk, format: str, wants: Any) -> Scanned:
    """decode() of every line, counted and filtered the plain way."""
    found = Scanned()
    for offset, line in zip(chunk.offsets, chunk.lines, strict=True):
        records = decode(line, format=format, origin=Origin("f.jsonl", offset))
        found.read += len({record.origin for record in records})
        for record in records:
            found.events += isinstance(record, Event)
            found.updates += isinstance(record, PropertyUpdate)
            found.links += isinstance(record, IdentityLink)
            found.invalid += isinstance(record, Invalid)
            assert not (isinstance(record, Invalid) and record.reason.startswith(OUR_FAULT)), record
            if not isinstance(record, Event) or wants(record.name, record.kind):
                found.records.append(record)
    return found


def but_for_huge_numbers(given_lines: list[bytes]) -> list[bytes | None]:
    """Leave out the one accepted difference: a number that is too large inside an event that nobody reads."""
    return [
        line
        for line in given_lines
        if not any(
            isinstance(record, Invalid) and reason in record.reason
            for record in decode(line, origin=Origin("f.jsonl", 0))
            for reason in ("number is infinity", "64 bits")
        )
    ]


@settings(max_examples=examples(600), deadline=None)
@given(
    st.lists(lines(), min_size=1, max_size=5),
    st.sampled_from(FORMATS),
    st.sampled_from((wants_a, wants_pages, wants_none)),
)
@example([orjson.dumps({"type": "event", "name": "A", "user_id": "u", **EMPTY})], "native", wants_a)
@example(
    [orjson.dumps({"type": "event", "name": "A", "user_id": "", "anonymous_id": "a"})], "native", wants_a
)
def test_scan_is_decode_and_a_filter(given_lines: list[bytes], format: str, wants: Any) -> None:
    chunk = chunk_of(but_for_huge_numbers(given_lines))
    assert scan(chunk, format=format, wants=wants) == expected(chunk, format, wants)


@pytest.mark.parametrize("splice", SPLICES)
@pytest.mark.parametrize("seed", [SEEDS[0], SEEDS[5], SEEDS[10]])
def test_every_splice_at_every_place_is_judged_alike(seed: dict[str, Any], splice: bytes) -> None:
    line = orjson.dumps(seed)
    spliced = [line[:at] + splice + line[at + gap :] for at in range(len(line)) for gap in (0, 1)]
    chunk = chunk_of(but_for_huge_numbers(spliced))
    assert scan(chunk, wants=wants_none) == expected(chunk, "auto", wants_none)


@pytest.mark.parametrize("splice", SPLICES)
@pytest.mark.parametrize("seed", [SEEDS[0], SEEDS[5], SEEDS[10]])
def test_of_what_is_wanted_every_splice_is_judged_alike(seed: dict[str, Any], splice: bytes) -> None:
    line = orjson.dumps(seed)
    chunk = chunk_of([line[:at] + splice + line[at + gap :] for at in range(len(line)) for gap in (0, 1)])
    assert scan(chunk, wants=wants_all) == expected(chunk, "auto", wants_all)


@pytest.mark.parametrize("integer", [2**64, -(2**63) - 1, 10**40])
@pytest.mark.parametrize("seed", SEEDS)
def test_an_integer_beyond_64_bits_is_refused_in_what_is_wanted(seed: dict[str, Any], integer: int) -> None:
    line = json.dumps({**seed, "properties": {**(seed.get("properties") or {}), "big": integer}}).encode()
    chunk = chunk_of([b'{"type":"event","name":"B","user_id":"u","properties":{"n":1}}', line])
    (other, found) = scan(chunk, wants=wants_all).records
    assert isinstance(other, Event)
    assert isinstance(found, Invalid)
    assert "64 bits" in found.reason
    skipped = scan(chunk, wants=wants_none)
    assert (skipped.read, skipped.events + skipped.invalid) == (2, 2)


def test_an_unwanted_event_with_an_integer_beyond_64_bits_is_skipped_like_any_other() -> None:
    chunk = chunk_of([b'{"type":"event","name":"B","user_id":"u","properties":{"n":%d}}' % 2**70])
    assert scan(chunk, wants=wants_none) == Scanned(read=1, events=1)


def test_every_json_parsing_case_is_judged_alike() -> None:
    with tarfile.open(shared_data() / "nasty" / "JSONTestSuite.tar.gz") as suite:
        members = [member for member in suite.getmembers() if member.name.endswith(".json")]
        texts = [file.read() for member in members if (file := suite.extractfile(member))]
    inside = [b'{"type":"event","name":"B","user_id":"u","properties":{"x":' + text + b"}}" for text in texts]
    chunk = chunk_of(but_for_huge_numbers([*texts, *inside]))
    assert len(chunk) > 600
    assert scan(chunk, wants=wants_none) == expected(chunk, "auto", wants_none)


@pytest.mark.parametrize("wants", [wants_none, wants_a])
def test_every_way_to_write_a_time_is_judged_alike(wants: Any) -> None:
    dates = ("0001-01-01", "2026-03-02", "2026-02-30", "9999-12-31", "20260302", "2026-W10-1", "2026-3-2")
    clocks = (
        "08:03:20",
        "08:03:60",
        "24:00:00",
        "08:03",
        "23:59:59.9999999",
        "08:03:20.1",
        "08:03:20,5",
        "8",
    )
    zones = ("", "Z", "z", "+05:30", "-23:59", "+24:00", "+0530", "-05")
    texts = ["", *dates, *map("".join, product(dates, "Tt _", clocks, zones))]
    event = {"type": "event", "name": "A", "user_id": "u"}
    chunk = chunk_of([orjson.dumps(event | {"time": text}) for text in texts])
    found = scan(chunk, wants=wants)
    assert found == expected(chunk, "auto", wants)
    assert 0 < found.invalid < found.read


def test_whether_a_name_is_wanted_is_asked_once_per_chunk() -> None:
    asked: list[tuple[str, str]] = []

    def wants(name: str, kind: str) -> bool:
        asked.append((name, kind))
        return name == "A"

    line = b'{"type":"event","name":"%b","user_id":"u1"}'
    lines: list[bytes | None] = [line % name for name in [b"A"] * 90 + [b"B"] * 10]
    found = scan(chunk_of(lines), wants=wants)
    assert (found.read, found.events, len(found.records)) == (100, 100, 90)
    assert len(asked) <= 4, "in the first look and in the second, for each of two names"


def test_the_shop_is_judged_alike_and_skips_what_nobody_wants() -> None:
    chunk = chunk_of([*Shop(seed=3, users=40).lines(2000)])
    found = scan(chunk, wants=wants_pages)
    assert found == expected(chunk, "auto", wants_pages)
    assert 0 < len(found.records) < found.read == 2000


def test_faults_tombstones_and_headers_of_a_chunk_are_respected() -> None:
    chunk = RawChunk(
        "p",
        ["t/0", "t/0", "t/1", "f"],
        [1, 2, 3, 4],
        [None, b'{"x":1}', b'{"type":"event","name":"A","user_id":"u"}', b"start of a long li"],
        NOWHERE,
        received=[10, 20, 30, None],
        keys=[b"u1", None, None, None],
        headers=[None, [("ce_specversion", b"1.0"), ("ce_type", b"C"), ("ce_source", b"s")], [], None],
        faults={3: "too long"},
    )
    found = scan(chunk, wants=lambda name, kind: True)
    gone, event, late, long = found.records
    assert isinstance(gone, PropertyUpdate)
    assert gone.delete
    assert gone.origin == Origin("t/0", 1)
    assert isinstance(event, Event)
    assert (event.name, event.time) == ("C", 20)
    assert isinstance(late, Event)
    assert (late.time, late.origin) == (30, Origin("t/1", 3))
    assert long == Invalid(b"start of a long li", "too long", Origin("f", 4))
    assert (found.read, found.events, found.updates, found.invalid) == (4, 2, 1, 1)
    assert scan(chunk, wants=wants_none).records == [gone, long]


def test_an_envelope_of_members_with_long_ids_is_kept_once() -> None:
    line = orjson.dumps({"batch": [{"type": "track", "event": "b", "userId": "u" * 1_030}] * 900})
    found = scan(RawChunk("p", "a", [0], [line], NOWHERE), format="segment", wants=lambda *_: True)
    assert found.invalid == 900
    assert sum(len(one.raw) for one in found.records if isinstance(one, Invalid)) < 1 << 20
