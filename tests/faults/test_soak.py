"""The short form of `make soak`: too short to call anything flat, long enough for all that happens in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.chaos.soak.rig import GUEST_EDITS, ILLS, soak
from tests.chaos.soak.sample import Process, Sample
from tests.chaos.soak.verdict import Verdict, judged, trends, unbounded


def test_a_whole_installation_with_everything_that_happens_to_it_loses_nothing(tmp_path: Path):
    rows: list[str] = []
    samples = soak(tmp_path, windows=2 * len(ILLS), window_secs=1, rate=50, edit_secs=0.5, show=rows.append)
    print("\n".join(rows))
    assert {sample.sick for sample in samples} == {str(ill) for ill in ILLS}
    last = samples[-1]
    assert last.processes.keys() >= {"up", "collect", "job", "console", "trial", "tap", "tap by console"}
    assert all(last.processes[name].blocks > 0 for name in ("collect", "job", "console"))
    assert max(one.descriptors for one in last.processes.values()) < 150
    assert last.counts["versions"] > 1, "no edit was taken"
    assert last.counts["webhooks"] > 5, f"no edit of {GUEST_EDITS} brought a new one"
    assert last.counts["dead letters"] > 0
    assert last.disk["audit"] > 0
    assert last.disk["state, all"] < 64 << 20


def flat(minutes: int = 30) -> list[Sample]:
    job = Process(80 << 20, 50, 14, 300_000)
    disk = {"recovery": 1 << 20, "users, links": 1 << 20}
    return [Sample(60.0 * n, "hang", {"job": job}, disk, {"owed": 10}, {"p99": 20.0}) for n in range(minutes)]


def test_what_stays_is_called_flat_and_so_is_what_goes_up_and_down():
    samples = [
        replace(one, counts={"owed": n % 5 * 100}, times={"p99": 20.0 + n % 2})
        for n, one in enumerate(flat())
    ]
    assert [trend for trend in trends(samples) if trend.grows] == []


def test_what_grows_is_named_where_nothing_says_that_it_ends():
    samples = [
        replace(
            one,
            processes={"job": replace(one.processes["job"], rss=(80 << 20) + n * (1 << 20))},
            disk={"recovery": n << 20, "users, links": n << 20},
        )
        for n, one in enumerate(flat())
    ]
    found = {trend.name: trend for trend in trends(samples)}
    assert unbounded(list(found.values())) == ["job RSS MiB", "disk recovery MiB"]
    assert found["disk users, links MiB"].grows
    assert round(found["job RSS MiB"].per_hour) == 60


def test_memory_may_grow_with_users_and_no_further():
    def grown(per_minute: int) -> list[str]:
        samples = [
            replace(
                one,
                processes={"job": replace(one.processes["job"], rss=(80 << 20) + n * per_minute)},
                counts={"users": n * 1000},
            )
            for n, one in enumerate(flat())
        ]
        return unbounded(trends(samples))

    assert grown(1 << 20) == []
    assert grown(3 << 20) == ["job RSS MiB"]


def test_too_few_windows_say_nothing():
    assert trends(flat(8)) == []
    (row,) = judged(flat(8)).rows()
    assert row == "VERDICT: nothing lost; 8 windows say nothing of growth, 12 would"


def timed(machine: float, ours: float) -> Verdict:
    """A soak at whose end the machine, and ours, take so many times as long as at its beginning."""

    def at(most: float, n: int) -> float:
        return 1 + (most - 1) * max(0, n - 15) / 14

    samples = [
        replace(one, times={"p50": 20 * at(ours, n), "p99": 90.0 * at(9, n), "machine": 4 * at(machine, n)})
        for n, one in enumerate(flat())
    ]
    return judged(samples)


def test_a_machine_that_becomes_slower_is_no_growth():
    assert timed(machine=4, ours=8).growing == []
    assert timed(machine=1, ours=1).growing == []
    assert timed(machine=1, ours=8).growing == ["p50 ms"]
    assert timed(machine=1.5, ours=8).growing == ["p50 ms"]


def test_the_verdict_is_the_last_line():
    assert timed(machine=1, ours=1).rows()[-1] == "VERDICT: nothing lost; what grows is bounded"
    assert timed(machine=1, ours=8).rows()[-1] == "VERDICT: nothing lost; GROWS without a bound: p50 ms"
