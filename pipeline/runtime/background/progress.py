"""A running job's progress: one changing line on a terminal, an occasional log line elsewhere."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from pipeline.model.words import counted
from pipeline.telemetry import log, screen

if TYPE_CHECKING:
    from pipeline.job.assembly import Job
    from pipeline.outbox.reading.view import Accounting

TERMINAL_SECS = 0.25
LOG_SECS = 10.0

Look: TypeAlias = Callable[[], tuple[dict[str, int], dict[str, dict[str, int]], tuple[int, int], float]]
"""Returns the record counts, the webhooks' counts, how many bytes of how many are read (0: unknown), and how
many seconds the end of the job may still take (infinite: it has not begun)."""

_log = log.get("job")


Facts: TypeAlias = dict[str, int]


class StatusLine:
    """Reports the progress of a process, until `stop`."""

    def __init__(self, facts: Callable[[], Facts], tell: Callable[[Facts], None], every_secs: float) -> None:
        self._facts, self._tell, self._every_secs = facts, tell, every_secs
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop reporting."""
        self._stopped.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stopped.wait(self._every_secs):
            self._tell(self._facts())


class ShownStatus(StatusLine):
    """Reports to a person: a changing line on a terminal, an occasional log line elsewhere.

    render: makes a line of the facts; show: takes it, and "" at the end. idle: log it even if nothing has
    changed.
    """

    def __init__(
        self,
        facts: Callable[[], Facts],
        render: Callable[[Facts], str],
        logger: log.Log,
        show: Callable[[str], None] = screen.show,
        *,
        idle: bool = True,
    ) -> None:
        self._show = show if screen.is_live(sys.stderr) else None
        before: Facts = {}

        def tell(found: Facts) -> None:
            nonlocal before
            if idle or found != (before or dict.fromkeys(found, 0)):
                logger.info("progress", **found)
            before = found

        if self._show is None:
            super().__init__(facts, tell, LOG_SECS)
        else:
            super().__init__(facts, lambda found: show(render(found)), TERMINAL_SECS)

    def stop(self) -> None:
        """Stop reporting, and clear the terminal's line."""
        super().stop()
        if self._show is not None:
            self._show("")


class JobProgress(ShownStatus):
    """Reports the progress of a job."""

    def __init__(self, look: Look, show: Callable[[str], None] = screen.show) -> None:
        self._look = look
        self._before: tuple[float, int] | None = None
        self._rate = 0.0
        self._first: tuple[float, int] | None = None
        """When the input's size was first known, and the bytes read by then."""
        super().__init__(self.facts, render, _log, show)

    def facts(self) -> Facts:
        """Return records read, their rate, the percentage of the input, and the matches by outcome.

        ``left_secs``: time left until the input is read, at the present rate. ``ends_in_secs``: how long the
        job waits for receivers at most, once it has read all or is told to stop.
        """
        records, webhooks, (done, of), ends_in_secs = self._look()
        now, read = time.monotonic(), records["read"]
        if self._before is None and read:
            # Read by earlier runs, or this run's first records.
            self._before = (now, read)
        then, before = self._before or (now, read)
        if read != before and now - then >= 1.0:
            self._rate = (read - before) / (now - then)
            self._before = (now, read)
        facts = {"records": read, "per_sec": round(self._rate)}
        if of:
            facts["percent"] = min(100, done * 100 // of)
            self._first = self._first or (now, done)
            begun, first = self._first
            if first < done < of:
                facts["left_secs"] = round((now - begun) * (of - done) / (done - first))
        for name in ("delivered", "pending", "dead"):
            facts[name] = sum(counts[name] for counts in webhooks.values())
        if facts["pending"] and ends_in_secs < math.inf:
            facts["ends_in_secs"] = math.ceil(ends_in_secs)
        return facts


def look_at(job: Job) -> Look:
    """Return a look at a job in this process."""

    def look() -> tuple[dict[str, int], dict[str, dict[str, int]], tuple[int, int], float]:
        known = list(job.bytes_read.values())
        read = (sum(done for done, _ in known), sum(of for _, of in known))
        return *job.committed.totals(), read, job.drain.left_secs

    return look


def look_through(account: Callable[[], Accounting]) -> Look:
    """Return a look at a multi-process job: what its processes have committed."""

    def look() -> tuple[dict[str, int], dict[str, dict[str, int]], tuple[int, int], float]:
        found = account()
        return found["records"], found["webhooks"], (0, 0), math.inf

    return look


def render(facts: Facts) -> str:
    """Return the line for a terminal."""
    parts = [f"{facts['percent']:3d}%"] if "percent" in facts else []
    parts += [
        counted(facts["records"], "record"),
        f"{facts['per_sec']:,}/s",
        f"{facts['delivered']:,} delivered",
    ]
    parts += [f"{facts[name]:,} {name}" for name in ("pending", "dead") if facts[name]]
    if "left_secs" in facts:
        minutes, secs = divmod(facts["left_secs"], 60)
        parts.append(f"{minutes}:{secs:02d} left")
    if "ends_in_secs" in facts:
        parts.append(f"receivers have {facts['ends_in_secs']} s more")
    return "  ".join(parts)
