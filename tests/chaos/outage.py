"""A receiver that is down while the job is stopped, killed and started again: everything waits on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.deliver.lanes.lane import MAX_ENTRIES
from pipeline.deliver.lanes.limits.pressure import BACKLOG
from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Job, accounted, event_of, ids, ready, state_bytes
from tests.kit.programs.ports import free_port
from tests.kit.programs.run import Bench, more_than, until

CONCURRENCY = 64


@dataclass(slots=True)
class Figures:
    """What was seen; sizes in bytes."""

    events: int
    kills: int
    peak: int
    state: int
    extra: int

    def line(self) -> str:
        return (
            f"{self.events} deliveries owed over {self.kills} kills: peak RSS {self.peak >> 20} MiB, "
            f"{self.state >> 20} MiB on disk; all arrived, {self.extra} twice "
            f"(bound {(self.kills - 1) * CONCURRENCY})"
        )


def outage(folder: Path, *, events: int, kills: int, patience: float) -> Figures:
    """Run it and check it: memory stays bounded, nothing is lost, nothing comes twice but at the kills."""
    port = free_port()
    bench = Bench(folder)
    bench.webhook(
        "w",
        f"http://127.0.0.1:{port}/w",
        f"delivery: {{concurrency: {CONCURRENCY}, retry: {{min_delay: 200ms, max_delay: 2s}}}}\n",
    )
    bench.append(*({"id": f"e{n}", "user_id": f"u{n}", "properties": {"n": n}} for n in range(events)))
    with Job(bench, fresh=True) as job:
        until(lambda: bench.counts("w")["pending"] == events, secs=patience)
        lane = bench.status()["lanes"]["w"]
        # What the worker hands over before the engine looks goes beyond the cap, by a backlog at most.
        held = lane["queued"] + lane["waiting"] + lane["in_flight"]
        assert held <= MAX_ENTRIES + 2 * BACKLOG, held
        assert lane["on_disk"] >= events - held - BACKLOG
        peak = job.peak()
        job.stop()
    assert accounted(bench)["w"]["pending"] == events
    state = state_bytes(bench.state)
    with Job(bench) as job:
        ready(bench, job)
        until(lambda: bench.status()["lanes"]["w"]["retried"] > 0)
        job.kill()
    with Receiver({"*": [200]}, port=port) as receiver:
        for kill in range(1, kills):
            with Job(bench) as job:
                until(more_than(receiver, kill * events // kills), secs=patience)
                job.kill()
        with Job(bench) as job:
            ready(bench, job)
            until(lambda: accounted(bench)["w"]["delivered"] == events, secs=patience)
            job.stop()
        assert {event_of(request)["n"] for request in receiver.requests} == set(range(events))
        extra = sum(ids(receiver.requests).values()) - events
    assert extra <= (kills - 1) * CONCURRENCY
    assert accounted(bench)["w"]["pending"] == 0
    return Figures(events, kills, peak, state, extra)
