"""The current state of a job: from its processes while it runs, from its stores while it is stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.deliver.halts import Halts
from pipeline.model.errors import StateError
from pipeline.model.json import Value
from pipeline.operate.running.processes import Processes
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
    """What is wrong with a rejected edit."""
    waits: str = ""
    """Why records wait for something external: a sentence."""
    paused: str = ""
    """Why the source is paused: a reason of the metric ``source_paused``."""
    still_secs: float = 0.0
    lag: int = 0
    """Of topics: records that are not read yet."""
    left_bytes: int | None = None
    """For files: how much is still to be read; None where unknown."""
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
        """Webhooks whose matches are not all accounted for; there must never be any (P6)."""
        return [
            webhook
            for webhook, counts in self.webhooks.items()
            if counts["matched"] != sum(counts[name] for name in WEBHOOK[1:])
        ]


def standing(state: Path, said: Sequence[Mapping[str, Value]]) -> Standing:
    """Return the state of a job. said: what each process answers to `status`; empty where none runs.

    A state directory without a job yet has no counts. Raises StateError for a damaged one.
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
    job = Processes(said)
    latency_ms, config = job.latency_ms, job.config
    return Standing(
        running=True,
        records=job.records,
        webhooks=job.webhooks,
        lanes=job.lanes,
        halted=halted,
        p50_ms=latency_ms["p50"],
        p99_ms=latency_ms["p99"],
        elapsed_secs=job.elapsed_secs,
        version=config["version"],
        problems=config["problems"],
        waits=job.waits,
        paused=job.paused,
        still_secs=job.still_secs,
        lag=job.lag,
        left_bytes=job.left_bytes,
        disk_free_bytes=job.disk_free_bytes,
        processes=len(job),
    )
