"""What the processes of a running job report, merged into one job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Final

from pipeline.deliver.stats import ADDED, LaneStats
from pipeline.model.json import Value
from pipeline.outbox.counters import WEBHOOK

PAUSED: Final = {
    "disk": "the disk has less free space than `disk_reserve`, or room for few more files (`df -i`)",
    "commit": "much waits to be written to the state, or its disk is slow",
    "webhook": "a webhook with `on_full: pause` owes as much as it may",
    "engine": "the queues of requests are full",
    "peers": "another process of the job has enough to do",
}
"""What the reasons of the metric ``source_paused`` mean."""
_ADDED = frozenset(one.name for one in fields(LaneStats) if one.metadata == ADDED)


class Processes:
    """A running job. said: what each of its processes answers to `status`; an older version reports less."""

    def __init__(self, said: Sequence[Mapping[str, Value]]) -> None:
        self._said = said

    def __len__(self) -> int:
        return len(self._said)

    @property
    def records(self) -> dict[str, int]:
        """Counts of what was read."""
        return _added(one["records"] for one in self._said)

    @property
    def webhooks(self) -> dict[str, dict[str, int]]:
        """The counts of each webhook."""
        none = dict.fromkeys(WEBHOOK, 0)
        return {name: none | _added(counts) for name, counts in self._apart("webhooks").items()}

    @property
    def lanes(self) -> dict[str, dict[str, Value]]:
        """By webhook: the fields of `LaneStats`."""
        return {name: together(lanes) for name, lanes in self.lanes_apart.items()}

    @property
    def lanes_apart(self) -> dict[str, list[Mapping[str, Value]]]:
        """By webhook: the fields of `LaneStats`, of each process."""
        return self._apart("lanes")

    @property
    def latency_ms(self) -> dict[str, float]:
        """The percentiles of the slowest process."""
        return {name: max(float(one["latency_ms"][name]) for one in self._said) for name in ("p50", "p99")}

    @property
    def elapsed_secs(self) -> float:
        """Since the start of the oldest process."""
        return max(float(one["elapsed_secs"]) for one in self._said)

    @property
    def events_seen(self) -> list[str]:
        """The names of events read since the start, in order of first appearance."""
        return list(dict.fromkeys(name for one in self._said for name in one["events_seen"]))

    @property
    def config(self) -> dict[str, str]:
        """version; problems: what is wrong with a rejected edit, "" where nothing is."""
        found: dict[str, str] = next(
            (one["config"] for one in self._said if one["config"]["problems"]), self._said[0]["config"]
        )
        return found

    @property
    def still_secs(self) -> float:
        """How long a worker has been stalled; 0 where all of them turn."""
        return max(float(one.get("still_secs", 0.0)) for one in self._said)

    @property
    def waits(self) -> str:
        """Why records wait for something external: a sentence."""
        return self._first("waits")

    @property
    def paused(self) -> str:
        """Why the source is paused: a reason of the metric ``source_paused``."""
        return self._first("paused")

    @property
    def lag(self) -> int:
        """Of topics: records that are not read yet."""
        return sum(one.get("lag", 0) for one in self._said)

    @property
    def left_bytes(self) -> int | None:
        """For files: how much is still to be read; None where unknown."""
        sizes = [one["bytes"] for one in self._said if "bytes" in one]
        of = sum(size[1] for size in sizes)
        return max(0, of - sum(size[0] for size in sizes)) if of else None

    @property
    def disk_free_bytes(self) -> int | None:
        """Free space for their state."""
        return min((one["disk_free_bytes"] for one in self._said if "disk_free_bytes" in one), default=None)

    @property
    def resident_bytes(self) -> int:
        """Their memory."""
        return sum(one.get("resident_bytes", 0) for one in self._said)

    def _apart(self, field: str) -> dict[str, list[Mapping[str, Value]]]:
        """Return what each of them reports, by webhook."""
        found: dict[str, list[Mapping[str, Value]]] = {}
        for process in self._said:
            for name, one in process[field].items():
                found.setdefault(name, []).append(one)
        return found

    def _first(self, field: str) -> str:
        return next((str(one[field]) for one in self._said if one.get(field)), "")


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for name, number in one.items():
            total[name] = total.get(name, 0) + number
    return total


def together(lanes: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Merge one webhook's lanes in several processes: sums of counts, else the last value there is."""
    found: dict[str, Value] = {}
    for name in lanes[0]:
        values = [lane[name] for lane in lanes]
        telling = [value for value in values if value and value != "well"]
        found[name] = sum(values) if name in _ADDED else (telling or values)[-1]
    return found
