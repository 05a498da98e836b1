"""The status of a job: the accounting of its state directory, and what it reports while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.deliver.halts import Halt, Halts
from pipeline.job.left_requests import Action, waiting_requests
from pipeline.model.json import Value
from pipeline.operate.running.processes import Processes
from pipeline.operate.running.waiting import Waiting, waiting
from pipeline.outbox.reading.view import accounting
from pipeline.runtime.state.missing import missing


@dataclass(slots=True, frozen=True)
class Status:
    """A state directory: cumulative over its life, up to the last finished epoch of a running job."""

    state: Path
    records: dict[str, int]
    webhooks: dict[str, dict[str, int]]
    halted: dict[str, Halt]
    running: Processes | None
    waiting: dict[str, Waiting]
    """By webhook, where something is pending: why."""
    left: dict[Action, int]
    """How many rows each request names that waits for the next start of a stopped job."""
    missing: list[str]
    """What of the state directory is gone, and is in no count: a sentence each."""

    def to_json(self) -> dict[str, Value]:
        """Return the keys of DESIGN 10, and what else is known of the job."""
        live = self.running
        return {
            "records": self.records,
            "webhooks": self.webhooks,
            "events_seen": None if live is None else live.events_seen,
            "latency_ms": {"p50": None, "p99": None} if live is None else live.latency_ms,
            "elapsed_secs": None if live is None else live.elapsed_secs,
            "running": live is not None,
            "state": str(self.state),
            "halted": self.halted,
            "waiting": {webhook: why.to_json() for webhook, why in self.waiting.items()},
            "left": {**self.left},
            "missing": [*self.missing],
            **(
                {}
                if live is None
                else {
                    "lanes": live.lanes,
                    "config": live.config,
                    "still_secs": live.still_secs,
                    "waits": live.waits,
                }
            ),
        }


def status(state: Path) -> Status:
    """Return the status of a state directory. Raises StateError where there is none."""
    found = accounting(state)
    running, webhooks = _running(state), found["webhooks"]
    why = waiting(state, webhooks, None if running is None else running.lanes)
    left = waiting_requests(state) if running is None else {}
    return Status(state, found["records"], webhooks, Halts(state).all(), running, why, left, missing(state))


def _running(state: Path) -> Processes | None:
    try:
        return Processes(ask(state, "status"))
    except NotRunning:
        return None
