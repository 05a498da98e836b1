"""What is kept of what is read, and what is known from it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.decode.formats import ALL_AUTO
from pipeline.job.event_names import LONG_NAME, OTHERS, EventNames
from pipeline.job.tap import samples
from pipeline.job.tap.samples import Samples
from pipeline.sources.chunk import NOWHERE, Headers, RawChunk
from tests.kit.machine.clock import ManualClock


def chunk(*lines: Any) -> RawChunk:
    texts = [line if isinstance(line, bytes | None) else json.dumps(line).encode() for line in lines]
    return RawChunk("events.jsonl", "events.jsonl", list(range(len(texts))), texts, NOWHERE)


def event(name: str = "Purchase", **properties: Any) -> dict[str, Any]:
    return {"type": "event", "name": name, "user_id": "u1", "properties": properties}


class Kept:
    """Samples with a clock that a test moves."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.samples = Samples(self.clock.now, lambda: 1_795_000_000_000)

    def saw(self, *lines: Any) -> None:
        self.clock.at += 1
        self.samples.saw(chunk(*lines), ALL_AUTO)


def test_of_chunks_that_follow_one_another_one_record_each_is_kept_at_a_place_that_moves():
    kept = Kept()
    kept.saw(*[event()] * samples.AT_ONCE)
    for _ in range(20):
        kept.clock.at += samples.EACH_SECS
        kept.samples.saw(chunk(*[event(n=n) for n in range(10)]), ALL_AUTO)
    found = kept.samples.to_json(20)
    assert len(kept.samples.to_json()) == samples.AT_ONCE + 20
    assert {one["records"][0]["properties"]["n"] for one in found} == set(range(10))


def test_a_few_records_that_come_together_are_all_kept_in_their_order():
    kept = Kept()
    kept.saw(*[event(n=n) for n in range(12)])
    assert [one["records"][0]["properties"]["n"] for one in kept.samples.to_json()] == [*range(11, -1, -1)]


def test_what_follows_at_once_is_passed_over():
    kept = Kept()
    kept.saw(event())
    for _ in range(5):
        kept.samples.saw(chunk(*[event() for _ in range(40)]), ALL_AUTO)
    assert len(kept.samples.to_json()) == samples.AT_ONCE


def test_the_ring_is_bounded_by_number_and_bytes():
    kept = Kept()
    for _ in range(samples.MOST + 50):
        kept.saw(event())
    newest = kept.samples.to_json(1)
    assert len(kept.samples.to_json()) == samples.MOST
    assert newest[0]["number"] == samples.MOST + 50
    for _ in range(400):
        kept.saw(event(text="x" * 60_000))
    held = [one["bytes"] for one in kept.samples.to_json(limit=10_000)]
    assert sum(held) <= samples.BYTES


@pytest.mark.parametrize(
    ("key", "headers"),
    [(b"k" * 60_000, None), (b"k", [("trace", b"h" * 60_000)]), (None, [("h", None)] * 600)],
)
def test_the_ring_is_bounded_by_keys_and_headers_too(key: bytes | None, headers: Headers | None):
    kept = Kept()
    for _ in range(400):
        kept.clock.at += 1
        raw = chunk(event())
        raw.keys, raw.headers = [key], [headers]
        kept.samples.saw(raw, ALL_AUTO)
    assert len(kept.samples.to_json()) < 300


def test_a_record_is_large_with_its_headers():
    kept = Kept()
    for line in (event(), None):
        kept.clock.at += 1
        raw = chunk(line)
        raw.headers = [[("trace", b"h" * samples.LARGE)]]
        kept.samples.saw(raw, ALL_AUTO)
        (newest, *_) = kept.samples.to_json()
        assert (newest["too_large"], newest["records"]) == (True, [])
        assert newest["bytes"] > samples.LARGE


def test_a_long_name_is_among_the_others():
    names = EventNames()
    names.saw(["Purchase", "n" * (LONG_NAME + 1), "m" * 1_000_000, "n" * LONG_NAME])
    assert names.all() == ["Purchase", OTHERS, "n" * LONG_NAME]


def test_large_records_and_tombstones_and_what_nobody_can_read_are_said():
    kept = Kept()
    for line in (event(text="x" * 70_000), b"no JSON", None):
        kept.saw(line)
    tombstone, bad, large = kept.samples.to_json()
    assert (large["too_large"], large["line"], large["records"]) == (True, None, [])
    assert large["bytes"] > 70_000
    assert "not JSON" in bad["records"][0]["invalid"]
    assert (tombstone["too_large"], tombstone["line"]) == (False, None)


def test_names_and_properties_are_known_with_types_and_an_example():
    kept = Kept()
    kept.saw(event(amount=5, tags=["a"]))
    kept.saw(event(amount=None))
    kept.saw({"type": "user", "user_id": "u1", "set": {"plan": "pro"}})
    known = kept.samples.seen(["Purchase", "Never sampled"])
    assert known["events"]["Never sampled"]["sampled"] == 0
    purchase = known["events"]["Purchase"]
    assert purchase["sampled"] == 2
    assert purchase["properties"]["amount"] == {"count": 2, "types": ["number", "null"], "example": 5}
    assert purchase["properties"]["tags"]["example"] == '["a"]'
    assert known["user_properties"] == {"plan": {"count": 1, "types": ["text"], "example": "pro"}}
    assert kept.samples.seen([])["events"]["Purchase"]["sampled"] == 2


def test_what_is_beyond_the_bounds_is_one():
    kept = Kept()
    for number in range(samples.NAMES + 10):
        kept.samples.catalog.learn(_sample(kept, event(f"E{number}")))
    kept.samples.catalog.learn(_sample(kept, event("x" * 500)))
    kept.samples.catalog.learn(_sample(kept, event("E1", **{f"p{n}": n for n in range(300)})))
    kept.samples.catalog.learn(_sample(kept, event("E1", **{f"q{n}": n for n in range(300)})))
    known = kept.samples.catalog.to_json([])["events"]
    assert len(known) == samples.NAMES + 1
    assert known[OTHERS]["sampled"] == 11
    assert len(known["E1"]["properties"]) == samples.PROPERTIES + 1


def _sample(kept: Kept, line: dict[str, Any]) -> samples.Sample:
    kept.saw(line)
    return list(kept.samples._ring)[-1]


def test_samples_are_asked_for_by_the_name_of_an_event():
    kept = Kept()
    for name in ("A", "B", "A"):
        kept.saw(event(name))
    assert [one["number"] for one in kept.samples.to_json(event="A")] == [3, 1]
    assert [one["number"] for one in kept.samples.to_json(limit=1)] == [3]
