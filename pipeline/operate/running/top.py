"""The webhooks of a running job at one moment: counts, and rates since the look before."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.model.json import Value
from pipeline.model.times import parse_time
from pipeline.operate.running.remote import RemoteConsole
from pipeline.operate.running.status import together

COUNTS = ("matched", "delivered", "dead", "pending", "suppressed")


@dataclass(slots=True, frozen=True)
class Row:
    """One webhook. Rates are per second; None: there was no look before, or the job has begun anew since."""

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
class Head:
    """The job as a whole."""

    state: str
    processes: int
    elapsed_secs: float
    config: str
    problems: str
    """What is wrong with an edit that is refused."""
    read: int
    read_rate: float | None
    invalid: int
    invalid_rate: float | None
    left_bytes: int | None
    """Of files: how much is still to be read; None where that is not known."""
    lag: int
    """Of topics: records that are not read yet."""
    waits: str
    """Why nothing is read: a sentence, or the reason of the metric ``source_paused``."""
    resident_bytes: int
    disk_free_bytes: int


@dataclass(slots=True, frozen=True)
class Table:
    """A look at the job."""

    head: Head
    rows: list[Row]

    def to_json(self) -> dict[str, Value]:
        """Return the job and its webhooks."""
        return {"job": asdict(self.head), "webhooks": [asdict(row) for row in self.rows]}


class Top:
    """Looks at a job again and again. Raises NotRunning where none runs."""

    def __init__(
        self,
        place: Path | str,
        webhooks: Sequence[str] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        asked: Callable[[], list[Value]] | None = None,
    ) -> None:
        """place: the state directory of the job, or what stands for it. asked: says what each of its
        processes says of itself; None: they are asked here.
        """
        self._place = place
        self._webhooks = webhooks
        self._clock = clock
        self._wall = wall
        self._asked = asked or (lambda: ask(Path(place), "status"))
        self._at = 0.0
        self._elapsed = -1.0
        self._before: dict[str, dict[str, int]] = {}
        self._read: tuple[int, int] = (0, 0)

    def look(self) -> Table:
        """Return how the job stands now."""
        said = self._asked()
        now = self._clock()
        elapsed = min(float(one["elapsed_secs"]) for one in said)
        # A process that has begun anew counts its attempts from nothing.
        secs = now - self._at if 0 <= self._elapsed < elapsed else None
        lanes = _lanes(said)
        counts = _counts(said)
        rows = [
            self._row(name, counts.get(name, {}), lanes.get(name, {}), secs)
            for name in dict.fromkeys([*counts, *lanes])
            if not self._webhooks or any(fnmatchcase(name, one) for one in self._webhooks)
        ]
        head = self._head(said, secs)
        self._at, self._elapsed = now, elapsed
        self._read = (head.read, head.invalid)
        self._before = {
            name: {**counts.get(name, {}), "sent": lanes.get(name, {}).get("delivered", 0)}
            | {"retried": lanes.get(name, {}).get("retried", 0)}
            for name in {*counts, *lanes}
        }
        return Table(head, rows)

    def _row(
        self, name: str, counts: Mapping[str, int], lane: Mapping[str, Value], secs: float | None
    ) -> Row:
        before = self._before.get(name)

        def rate(field: str, now: int) -> float | None:
            if not secs or before is None:
                return None
            gained = now - before.get(field, 0)
            return gained / secs if gained >= 0 else None

        numbers = {field: counts.get(field, 0) for field in COUNTS}
        oldest = [parse_time(one) / 1000 for one in lane.get("oldest", ()) if one]
        return Row(
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

    def _head(self, said: Sequence[Mapping[str, Value]], secs: float | None) -> Head:
        read, invalid = (sum(one["records"][field] for one in said) for field in ("read", "invalid"))
        sizes = [one["bytes"] for one in said if "bytes" in one]  # an older job does not say
        of = sum(size[1] for size in sizes)
        problems = next((one["config"]["problems"] for one in said if one["config"]["problems"]), "")
        return Head(
            state=str(self._place),
            processes=len(said),
            elapsed_secs=max(float(one["elapsed_secs"]) for one in said),
            config=said[0]["config"]["version"],
            problems=problems,
            read=read,
            read_rate=(read - self._read[0]) / secs if secs else None,
            invalid=invalid,
            invalid_rate=(invalid - self._read[1]) / secs if secs else None,
            left_bytes=max(0, of - sum(size[0] for size in sizes)) if of else None,
            lag=sum(one.get("lag", 0) for one in said),
            waits=next((str(one[why]) for why in ("waits", "paused") for one in said if one.get(why)), ""),
            resident_bytes=sum(one.get("resident_bytes", 0) for one in said),
            disk_free_bytes=min(one.get("disk_free_bytes", 0) for one in said),
        )


def afar(console: RemoteConsole, webhooks: Sequence[str] = ()) -> Top:
    """Return what looks at the job behind a console."""

    def asked() -> list[Value]:
        said: list[Value] = console.get("/api/v1/processes")["processes"]
        if not said:
            raise NotRunning(f"{console.url}: no job runs there")
        return said

    return Top(console.url, webhooks, asked=asked)


def _lanes(said: Sequence[Mapping[str, Value]]) -> dict[str, dict[str, Value]]:
    """Return the lanes of all processes, by webhook, as one each."""
    found: dict[str, list[Mapping[str, Value]]] = {}
    for process in said:
        for name, lane in process["lanes"].items():
            found.setdefault(name, []).append(lane)
    return {
        name: {**together(lanes), "oldest": [lane.get("oldest_at", "") for lane in lanes]}
        for name, lanes in found.items()
    }


def _counts(said: Sequence[Mapping[str, Value]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for process in said:
        for name, counts in process["webhooks"].items():
            known = found.setdefault(name, dict.fromkeys(COUNTS, 0))
            for field in COUNTS:
                known[field] += counts.get(field, 0)
    return found
