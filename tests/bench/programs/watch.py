"""How fast a job reads that never ends: looks at what it has committed until that is all there is.

    python -m tests.bench.programs.watch STATE RECORDS PID

Prints records per second between the first commit and the last one while it was still reading, so that
neither the start of the job nor the wait for its last commit counts. Fails when the process is gone.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import lmdb

from pipeline.model.errors import StateError
from pipeline.outbox.reading.view import accounting
from tests.kit.programs.run import has_ended, until

EVERY_SECS = 0.1


def watch(state: Path, records: int, pid: int) -> float:
    """Return the rate once so many records are committed; raises OSError when the process is gone."""
    begun = time.perf_counter()
    seen: list[tuple[float, int]] = []
    while not seen or seen[-1][1] < records:
        if has_ended(pid):
            raise ProcessLookupError(pid)
        read = records_read(state)
        if read and (not seen or read != seen[-1][1]):
            seen.append((time.perf_counter(), read))
        time.sleep(EVERY_SECS)
    return rate(begun, seen)


def records_read(state: Path) -> int:
    """Return how many records a job has committed so far."""
    with contextlib.suppress(FileNotFoundError, lmdb.Error, StateError):  # there is no store yet
        return int(accounting(state)["records"]["read"])
    return 0


def until_it_reads(job: subprocess.Popen[bytes], state: Path, records: int) -> None:
    """Wait until a job has read so many: on a slow machine its start takes longer than any warm-up."""
    until(lambda: job.poll() is not None or records_read(state) >= records)


def rate(begun: float, seen: list[tuple[float, int]]) -> float:
    """Return the rate of a job that had committed so many records at these times."""
    if len(seen) < 4:
        return seen[-1][1] / (seen[-1][0] - begun)
    (first, before), (last, after) = seen[0], seen[-2]
    return (after - before) / (last - first)


if __name__ == "__main__":
    print(watch(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
