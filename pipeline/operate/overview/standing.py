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
    """A job: its counts, and what it reports while it runs."""

    job: Processes | None = None
    """What its processes report; None while it is stopped."""
    records: Mapping[str, int] = field(default_factory=dict)
    webhooks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By id: matched, delivered, dead, pending, suppressed."""
    lanes: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """By id: the fields of `LaneStats`; {} while it is stopped."""
    halted: Mapping[str, str] = field(default_factory=dict)
    """By id: paused, disabled, gone."""

    @property
    def running(self) -> bool:
        """Whether the job runs."""
        return self.job is not None

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
    if said:
        job = Processes(said)
        return Standing(job, job.records, job.webhooks, job.lanes, halted)
    try:
        found = None if is_new(state) else accounting(state)
    except StateError:
        if not is_new(state):
            raise
        found = None  # removed a moment ago
    if found is None:
        return Standing(halted=halted)
    return Standing(None, found["records"], found["webhooks"], halted=halted)
