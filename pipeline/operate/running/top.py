"""The webhooks of a running job at one moment: counts, and rates since the previous look."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.model.json import Value
from pipeline.model.times import parse_time
from pipeline.operate.running.processes import PAUSED, Processes
from pipeline.operate.running.remote import RemoteConsole
from pipeline.outbox.counters import WEBHOOK


@dataclass(slots=True, frozen=True)
class TopRow:
    """One webhook. Rates are per second; None: there was no earlier look, or the job has restarted since."""

    id: str
    state: str
    """active, off, paused, disabled, gone, unknown."""
    receiver: str
    """well, failing, down."""
    matched: int
    delivered: int
    dead: int
    pending: int
    suppressed: int
    matched_rate: float | None
    delivered_rate: float | None
    retry_rate: float | None
    dead_rate: float | None
    oldest_secs: float | None
    """Since the match of the oldest delivery in memory; None where there is none."""
    in_flight: int
    limit: int
    on_disk: int
    p50_ms: float
    p99_ms: float
    status: int
    error: str


@dataclass(slots=True, frozen=True)
class TopHead:
    """The job as a whole."""

    state: str
    processes: int
    elapsed_secs: float
    config: str
    problems: str
    """What is wrong with a rejected edit."""
    read: int
    read_rate: float | None
    invalid: int
    invalid_rate: float | None
    left_bytes: int | None
    """For files: how much is still to be read; None where unknown."""
    lag: int
    """Of topics: records that are not read yet."""
    waits: str
    """Why nothing is read, in words."""
    resident_bytes: int
    disk_free_bytes: int


@dataclass(slots=True, frozen=True)
class TopTable:
    """A look at the job."""

    head: TopHead
    rows: list[TopRow]

    def to_json(self) -> dict[str, Value]:
        """Return the job and its webhooks."""
        return {"job": asdict(self.head), "webhooks": [asdict(row) for row in self.rows]}


class Top:
    """Looks at a job repeatedly. Raises NotRunning where none runs."""

    def __init__(
        self,
        place: Path | str,
        webhooks: Sequence[str] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        asked: Callable[[], list[Value]] | None = None,
    ) -> None:
        """place: the job's state directory, or what stands for it. asked: gives each process's report."""
        self._place = place
        self._webhooks = webhooks
        self._clock = clock
        self._wall = wall
        self._asked = asked or (lambda: ask(Path(place), "status"))
        self._at = 0.0
        self._elapsed = -1.0
        self._before: dict[str, dict[str, int]] = {}
        self._read: tuple[int, int] = (0, 0)

    def look(self) -> TopTable:
        """Return the job's present state."""
        said = self._asked()
        now = self._clock()
        elapsed = min(float(one["elapsed_secs"]) for one in said)
        # A restarted process counts its attempts from zero.
        secs = now - self._at if 0 <= self._elapsed < elapsed else None
        job = Processes(said)
        lanes, counts, apart = job.lanes, job.webhooks, job.lanes_apart
        oldest = {name: [lane.get("oldest_at", "") for lane in apart[name]] for name in lanes}
        rows = [
            self._row(name, counts.get(name, {}), lanes.get(name, {}), oldest.get(name, ()), secs)
            for name in dict.fromkeys([*counts, *lanes])
            if not self._webhooks or any(fnmatchcase(name, one) for one in self._webhooks)
        ]
        head = self._head(job, secs)
        self._at, self._elapsed = now, elapsed
        self._read = (head.read, head.invalid)
        self._before = {
            name: {**counts.get(name, {}), "sent": lanes.get(name, {}).get("delivered", 0)}
            | {"retried": lanes.get(name, {}).get("retried", 0)}
            for name in {*counts, *lanes}
        }
        return TopTable(head, rows)

    def _row(
        self,
        name: str,
        counts: Mapping[str, int],
        lane: Mapping[str, Value],
        oldest_at: Iterable[str],
        secs: float | None,
    ) -> TopRow:
        before = self._before.get(name)

        def rate(field: str, now: int) -> float | None:
            if not secs or before is None:
                return None
            gained = now - before.get(field, 0)
            return gained / secs if gained >= 0 else None

        numbers = {field: counts.get(field, 0) for field in WEBHOOK}
        oldest = [parse_time(one) / 1000 for one in oldest_at if one]
        return TopRow(
            id=name,
            state=lane.get("state", "active"),
            receiver=lane.get("receiver", "well"),
            **numbers,
            matched_rate=rate("matched", numbers["matched"]),
            delivered_rate=rate("sent", lane.get("delivered", 0)),
            retry_rate=rate("retried", lane.get("retried", 0)),
            dead_rate=rate("dead", numbers["dead"]),
            oldest_secs=round(max(0.0, self._wall() - min(oldest)), 1) if oldest else None,
            in_flight=lane.get("in_flight", 0),
            limit=lane.get("limit", 0),
            on_disk=lane.get("on_disk", 0),
            p50_ms=lane.get("p50_ms", 0.0),
            p99_ms=lane.get("p99_ms", 0.0),
            status=lane.get("status", 0),
            error=lane.get("error", ""),
        )

    def _head(self, job: Processes, secs: float | None) -> TopHead:
        records, config = job.records, job.config
        read, invalid = records["read"], records["invalid"]
        return TopHead(
            state=str(self._place),
            processes=len(job),
            elapsed_secs=job.elapsed_secs,
            config=config["version"],
            problems=config["problems"],
            read=read,
            read_rate=(read - self._read[0]) / secs if secs else None,
            invalid=invalid,
            invalid_rate=(invalid - self._read[1]) / secs if secs else None,
            left_bytes=job.left_bytes,
            lag=job.lag,
            waits=job.waits or PAUSED.get(job.paused, job.paused),
            resident_bytes=job.resident_bytes,
            disk_free_bytes=job.disk_free_bytes or 0,
        )


def afar(console: RemoteConsole, webhooks: Sequence[str] = ()) -> Top:
    """Return a Top over the job behind a console."""

    def asked() -> list[Value]:
        said: list[Value] = console.get("/api/v1/processes")["processes"]
        if not said:
            raise NotRunning(f"{console.url}: no job runs there")
        return said

    return Top(console.url, webhooks, asked=asked)
