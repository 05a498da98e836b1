"""How a job stands now: by what its processes say while it runs, by its stores while it is stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.deliver.halts import Halts
from pipeline.model.errors import StateError
from pipeline.model.json import Value
from pipeline.operate.running.status import together
from pipeline.outbox.counters import WEBHOOK
from pipeline.outbox.reading.view import accounting, is_new


@dataclass(slots=True, frozen=True)
class Standing:
    """All processes of a job as one."""

    running: bool
    records: dict[str, int] = field(default_factory=dict)
    webhooks: dict[str, dict[str, int]] = field(default_factory=dict)
    """By id: matched, delivered, dead, pending, suppressed."""
    lanes: dict[str, dict[str, Value]] = field(default_factory=dict)
    """By id: the fields of `LaneStats`; {} while it is stopped."""
    halted: Mapping[str, str] = field(default_factory=dict)
    """By id: paused, disabled, gone."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    elapsed_secs: float | None = None
    version: str = ""
    problems: str = ""
    """What is wrong with an edit that is refused."""
    waits: str = ""
    """Why records wait for something outside: a sentence."""
    paused: str = ""
    """Why the source is paused: a reason of the metric ``source_paused``."""
    still_secs: float = 0.0
    lag: int = 0
    """Of topics: records that are not read yet."""
    left_bytes: int | None = None
    """Of files: how much is still to be read; None where that is not known."""
    disk_free_bytes: int | None = None
    processes: int = 0

    @property
    def totals(self) -> dict[str, int]:
        """The counts of all webhooks together."""
        total: Counter[str] = Counter(dict.fromkeys(WEBHOOK, 0))
        for counts in self.webhooks.values():
            for name in WEBHOOK:
                total[name] += counts.get(name, 0)
        return dict(total)

    @property
    def unbalanced(self) -> list[str]:
        """Webhooks of which matched is not what became of it; there is none, ever (P6)."""
        return [
            webhook
            for webhook, counts in self.webhooks.items()
            if counts["matched"] != sum(counts[name] for name in WEBHOOK[1:])
        ]


def standing(state: Path, said: Sequence[Mapping[str, Value]]) -> Standing:
    """Return how a job stands. said: what each process answers to `status`; none where none runs.

    A state directory on which no job has run yet has no counts. Raises StateError for one that is damaged.
    """
    halted = Halts(state).all()
    if not said:
        if is_new(state):
            return Standing(running=False, halted=halted)
        try:
            found = accounting(state)
        except StateError:
            if is_new(state):
                return Standing(running=False, halted=halted)  # removed a moment ago
            raise
        return Standing(running=False, records=found["records"], webhooks=found["webhooks"], halted=halted)
    records: Counter[str] = Counter()
    webhooks: dict[str, dict[str, int]] = {}
    lanes: dict[str, list[dict[str, Value]]] = {}
    for process in said:
        for name, number in process["records"].items():
            records[name] += number
        for webhook, counts in process["webhooks"].items():
            known = webhooks.setdefault(webhook, dict.fromkeys(WEBHOOK, 0))
            for name, number in counts.items():
                known[name] = known.get(name, 0) + number
        for webhook, lane in process["lanes"].items():
            lanes.setdefault(webhook, []).append(lane)
    sizes = [one["bytes"] for one in said if "bytes" in one]
    free = [one["disk_free_bytes"] for one in said if "disk_free_bytes" in one]
    of = sum(size[1] for size in sizes)
    return Standing(
        running=True,
        records=dict(records),
        webhooks=webhooks,
        lanes={webhook: together(found) for webhook, found in lanes.items()},
        halted=halted,
        p50_ms=max(float(one["latency_ms"]["p50"]) for one in said),
        p99_ms=max(float(one["latency_ms"]["p99"]) for one in said),
        elapsed_secs=max(float(one["elapsed_secs"]) for one in said),
        version=said[0]["config"]["version"],
        problems=next((one["config"]["problems"] for one in said if one["config"]["problems"]), ""),
        waits=next((str(one["waits"]) for one in said if one.get("waits")), ""),
        paused=next((str(one["paused"]) for one in said if one.get("paused")), ""),
        still_secs=max(float(one.get("still_secs", 0.0)) for one in said),
        lag=sum(one.get("lag", 0) for one in said),
        left_bytes=max(0, of - sum(size[0] for size in sizes)) if of else None,
        disk_free_bytes=min(free, default=None),
        processes=len(said),
    )
