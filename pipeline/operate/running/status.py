"""How a job stands: the accounting of a state directory, and what a running job says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.deliver.halts import Halt, Halts
from pipeline.deliver.stats import ADDED, LaneStats
from pipeline.model.json import Value
from pipeline.operate.running.waiting import Waiting, waiting
from pipeline.outbox.reading.view import accounting


@dataclass(slots=True, frozen=True)
class Running:
    """What the processes of a running job say of themselves, as one."""

    latency_ms: dict[str, float]
    elapsed_secs: float
    lanes: dict[str, dict[str, Value]]
    """By webhook: the fields of `LaneStats`."""
    events_seen: list[str]
    """The names of events read since the start, in the order in which they came first."""
    config: dict[str, str]
    """version; problems: what is wrong with an edit that is refused, "" where nothing is."""
    still_secs: float = 0.0
    """How long a worker has stood still; 0 where all of them turn."""
    waits: str = ""
    """Why records wait for something outside, "" where none do."""


@dataclass(slots=True, frozen=True)
class Status:
    """A state directory: cumulative over its life, up to the last finished epoch of a running job."""

    state: Path
    records: dict[str, int]
    webhooks: dict[str, dict[str, int]]
    halted: dict[str, Halt]
    running: Running | None
    waiting: dict[str, Waiting]
    """By webhook, where something is pending: why."""

    def to_json(self) -> dict[str, Value]:
        """Return the keys of DESIGN 10, and what is known of the job beside them."""
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
    """Return how a state directory stands. Raises StateError where there is none."""
    found = accounting(state)
    running, webhooks = _running(state), found["webhooks"]
    why = waiting(state, webhooks, None if running is None else running.lanes)
    return Status(state, found["records"], webhooks, Halts(state).all(), running, why)


def _running(state: Path) -> Running | None:
    try:
        said = ask(state, "status")
    except NotRunning:
        return None
    lanes: dict[str, list[dict[str, Value]]] = {}
    for process in said:
        for webhook, lane in process["lanes"].items():
            lanes.setdefault(webhook, []).append(lane)
    return Running(
        {name: max(one["latency_ms"][name] for one in said) for name in ("p50", "p99")},
        max(one["elapsed_secs"] for one in said),
        {webhook: together(found) for webhook, found in lanes.items()},
        list(dict.fromkeys(name for one in said for name in one["events_seen"])),
        next((one["config"] for one in said if one["config"]["problems"]), said[0]["config"]),
        max(one["still_secs"] for one in said),
        next((one["waits"] for one in said if one.get("waits")), ""),  # an older job does not say
    )


_ADDED = frozenset(one.name for one in fields(LaneStats) if one.metadata == ADDED)


def together(lanes: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Return one webhook's lanes in several processes as one: counts added up, the rest of the last that
    has anything to say.
    """
    found: dict[str, Value] = {}
    for name in lanes[0]:
        values = [lane[name] for lane in lanes]
        telling = [value for value in values if value and value != "well"]
        found[name] = sum(values) if name in _ADDED else (telling or values)[-1]
    return found
