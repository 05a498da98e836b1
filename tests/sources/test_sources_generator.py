from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from pipeline.recording.shop import RECORDING, RECORDS, Shop, write_recording
from tests.kit.streams.samples import ROOT


def test_the_shipped_recording_is_what_the_generator_makes() -> None:
    shipped = gzip.decompress((ROOT / RECORDING).read_bytes())
    assert shipped == b"".join(line + b"\n" for line in Shop().lines(RECORDS))


def test_one_seed_gives_one_stream_and_another_seed_another() -> None:
    first, same, other = (list(Shop(seed=seed, users=30).lines(500)) for seed in (1, 1, 2))
    assert first == same
    assert first != other


def test_the_shop_tells_a_believable_story() -> None:
    records = [json.loads(line) for line in Shop().lines(RECORDS)]
    assert records == sorted(records, key=lambda record: record["time"])
    names = Counter(record.get("name") for record in records)
    for name in (
        "Product Viewed",
        "Added To Cart",
        "Checkout Started",
        "Purchase",
        "Signed Up",
        "Page Viewed",
    ):
        assert names[name] > 100
    for name in ("Refund Requested", "Plan Upgraded", "Support Ticket Opened"):
        assert names[name] > 20
    ids = [record["id"] for record in records if record["type"] == "event"]
    assert len(set(ids)) == len(ids)
    known: set[str] = set()
    spent: Counter[str] = Counter()
    for record in records:
        if record["type"] == "identify":
            known.add(record["user_id"])
        elif record["type"] == "user" and "lifetime_value" in record["set"]:
            spent[record["user_id"]] = record["set"]["lifetime_value"]
        elif record["type"] == "event" and "user_id" in record:
            assert record["user_id"] in known
            if record["name"] == "Purchase":
                assert spent[record["user_id"]] >= record["properties"]["amount"]


@pytest.mark.parametrize(("firing", "wanted"), [(0.0, 0), (0.05, 50), (1.0, 1000)])
def test_a_bench_stream_fires_as_often_as_it_is_told_to(firing: float, wanted: int) -> None:
    records = [json.loads(line) for line in Shop(users=100).lines(1100, firing)]
    assert [record["type"] for record in records[:100]] == ["user"] * 100
    assert sum(record.get("name") == "Purchase" for record in records) == wanted


def test_a_recording_is_the_same_file_every_time(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_recording(tmp_path / name, Shop(users=5).lines(50))
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
