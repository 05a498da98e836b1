"""The short form of `make soak`: too short to call anything flat, long enough for every illness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.chaos.soak import ILLS, Sample, grown, soak


def test_a_receiver_that_falls_ill_again_and_again_costs_neither_deliveries_nor_files(tmp_path: Path):
    rows: list[str] = []
    samples = soak(tmp_path, secs=10, window_secs=2, rate=300, show=rows.append)
    print("\n".join(rows))
    assert {sample.sick for sample in samples} == {str(ill) for ill in ILLS}
    assert max(sample.descriptors for sample in samples) < 300
    assert max(sample.state for sample in samples) < 64 << 20


def test_what_grows_is_named():
    flat = [Sample(n, 100.0, 80 << 20, 50, 4 << 20, 0, 1.0, 5.0, "hang") for n in range(9)]
    assert grown(flat) == []
    leaking = [replace(sample, rss=sample.rss + n * (10 << 20)) for n, sample in enumerate(flat)]
    assert grown(leaking) == ["memory (MiB) went from 120.0 to 150.0"]
    slower = [replace(sample, p99=5.0 * 1.5**n, descriptors=50 + 20 * n) for n, sample in enumerate(flat)]
    assert len(grown(slower)) == 2
