"""The webhooks of a job at a moment: what its processes say, together, and per second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.operate.running.processes import PAUSED
from pipeline.operate.running.top import Top, TopRow
from tests.kit.machine.clock import ManualClock


def lane(**changes: Any) -> dict[str, Any]:
    return {
        "webhook_id": "w", "state": "active", "receiver": "well", "share": 1.0, "queued": 0, "in_flight": 1,
        "waiting": 0, "on_disk": 2, "limit": 8, "delivered": 0, "retried": 0, "dead": 0, "p50_ms": 1.0,
        "p99_ms": 2.0, "status": 0, "error": "", "why": "", "due_at": "", "single_until": "", "oldest_at": "",
    } | changes  # fmt: skip


def said(
    elapsed: float, lanes: dict[str, Any], counts: dict[str, dict[str, int]], **more: Any
) -> dict[str, Any]:
    zeros = dict.fromkeys(("matched", "delivered", "dead", "pending", "suppressed"), 0)
    return {
        "records": {"read": 100, "invalid": 1},
        "webhooks": {name: zeros | one for name, one in counts.items()},
        "lanes": lanes,
        "elapsed_secs": elapsed,
        "config": {"version": "v1", "problems": ""},
        "waits": "", "paused": None, "bytes": [10, 50], "lag": 3, "resident_bytes": 1 << 20,
        "disk_free_bytes": 5,
    } | more  # fmt: skip


class Job:
    """A job whose processes say what a test wants."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock()
        self.answers: list[dict[str, Any]] = []
        self.top = Top(
            Path("state"), clock=self.clock.now, wall=lambda: 1_795_000_010.0, asked=lambda: self.answers,
            **options,
        )  # fmt: skip

    def row(self, *answers: dict[str, Any], secs: float = 1.0) -> TopRow:
        self.clock.at += secs
        self.answers = list(answers)
        return self.top.look().rows[0]


def test_rates_are_what_was_gained_since_the_look_before():
    job = Job()
    first = job.row(said(1.0, {"w": lane(delivered=100, retried=7)}, {"w": {"matched": 200, "dead": 1}}))
    assert (first.delivered_rate, first.matched_rate, first.dead_rate, first.retry_rate) == (None,) * 4
    second = job.row(
        said(3.0, {"w": lane(delivered=160, retried=8)}, {"w": {"matched": 300, "dead": 5}}), secs=2.0
    )
    assert (second.delivered_rate, second.matched_rate) == (30.0, 50.0)
    assert (second.dead_rate, second.retry_rate) == (2.0, 0.5)
    job.clock.at += 2.0
    job.answers = [said(5.0, {}, {}, records={"read": 160, "invalid": 9}, waits="its schema", paused="disk")]
    head = job.top.look().head
    assert (head.read_rate, head.invalid_rate, head.waits) == (30.0, 4.0, "its schema")


def test_a_job_that_has_begun_anew_has_no_rates_for_one_look():
    job = Job()
    job.row(said(100.0, {"w": lane(delivered=100)}, {"w": {"matched": 100}}))
    again = job.row(said(1.0, {"w": lane(delivered=3)}, {"w": {"matched": 103}}))
    assert again.delivered_rate is None
    assert job.row(said(2.0, {"w": lane(delivered=5)}, {"w": {"matched": 105}})).delivered_rate == 2.0


def test_processes_are_added_up_and_the_oldest_of_any_is_shown():
    job = Job()
    at = "2026-11-18T11:06:40.000Z"  # 1_795_000_000
    row = job.row(
        said(5.0, {"w": lane(oldest_at="2026-11-18T11:06:45.000Z")}, {"w": {"matched": 2, "pending": 1}}),
        said(9.0, {"w": lane(oldest_at=at, receiver="down", error="busy")}, {"w": {"matched": 3}}),
    )
    assert (row.matched, row.pending, row.in_flight, row.on_disk, row.limit) == (5, 1, 2, 4, 16)
    assert (row.receiver, row.error, row.oldest_secs) == ("down", "busy", 10.0)
    head = job.top.look().head
    assert (head.processes, head.elapsed_secs, head.read, head.lag) == (2, 9.0, 200, 6)
    assert (head.left_bytes, head.resident_bytes, head.disk_free_bytes) == (80, 2 << 20, 5)


def test_only_some_webhooks_and_those_without_a_lane():
    job = Job(webhooks=("w*",))
    counts: dict[str, dict[str, int]] = {"w": {}, "web": {"matched": 4}, "other": {}}
    job.answers = [said(1.0, {"w": lane()}, counts, paused="disk")]
    found = job.top.look()
    assert [row.id for row in found.rows] == ["w", "web"]
    assert found.rows[1].matched == 4
    assert found.head.waits == PAUSED["disk"]


def test_an_older_job_says_less():
    job = Job()
    old = said(
        1.0, {"w": {"state": "active"} | {k: v for k, v in lane().items() if k != "oldest_at"}}, {"w": {}}
    )
    for name in ("paused", "bytes", "lag", "resident_bytes", "disk_free_bytes"):
        del old[name]
    assert job.row(old).oldest_secs is None
    assert job.top.look().to_json()["job"]["left_bytes"] is None
