"""What a running job says of itself: one changing line on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time

from pipeline.admin.collect import totals
from pipeline.context import Job
from pipeline.telemetry import log, screen

TERMINAL_SECS = 0.25
LOG_SECS = 10.0

_log = log.get("job")


class Progress:
    """Tells how far a job is, from its start to `stop`."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._terminal = sys.stderr.isatty()
        self._begun = time.monotonic()
        self._before: tuple[float, int] | None = None
        self._rate = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say no more, and clear the terminal's line."""
        self._stopped.set()
        self._thread.join(1.0)
        if self._terminal:
            screen.show("")

    def _run(self) -> None:
        while not self._stopped.wait(TERMINAL_SECS if self._terminal else LOG_SECS):
            facts = self.facts()
            if self._terminal:
                screen.show(render(facts))
            else:
                _log.info("progress", **facts)

    def facts(self) -> dict[str, int]:
        """Return records read, their rate, the share of the input in percent, and what became of matches."""
        records, webhooks = totals(self._job)
        now, read = time.monotonic(), records["read"]
        if self._before is None:
            self._before = (now, read)
        then, before = self._before
        if read != before and now - then >= 1.0:
            self._rate = (read - before) / (now - then)
            self._before = (now, read)
        facts = {"records": read, "per_sec": round(self._rate)}
        done, of = (
            sum(column) for column in zip(*list(self._job.source_bytes.values()) or [(0, 0)], strict=True)
        )
        if of:
            facts["percent"] = min(100, done * 100 // of)
        for name in ("delivered", "pending", "dead"):
            facts[name] = sum(counts[name] for counts in webhooks.values())
        return facts


def render(facts: dict[str, int]) -> str:
    """Return the line for a terminal."""
    parts = [f"{facts['percent']:3d}%"] if "percent" in facts else []
    parts += [f"{facts['records']:,} records", f"{facts['per_sec']:,}/s", f"{facts['delivered']:,} delivered"]
    parts += [f"{facts[name]:,} {name}" for name in ("pending", "dead") if facts[name]]
    return "  ".join(parts)
