"""What a running job says of itself on one line."""

from __future__ import annotations

import math

from pipeline.runtime.background.progress import JobProgress, render


def line(pending: int, ends_in_secs: float) -> str:
    """Return the line of a job that has read all of its input."""
    records, counts = {"read": 12_000}, {"crm": {"delivered": 5, "pending": pending, "dead": 0}}
    progress = JobProgress(lambda: (records, {**counts}, (900, 900), ends_in_secs))
    progress.stop()
    return render(progress.facts())


def test_what_a_run_waits_for_at_its_end_is_said_and_for_how_long() -> None:
    """A newcomer without a receiver saw `100%` stand still for half a minute."""
    assert line(995, 28.3) == "100%  12,000 records  0/s  5 delivered  995 pending  receivers have 29 s more"
    assert line(995, math.inf) == "100%  12,000 records  0/s  5 delivered  995 pending"
    assert line(0, 28.3) == "100%  12,000 records  0/s  5 delivered"
