"""What is fixed about a job before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.job.replay import Replay
from pipeline.join.known import Known
from pipeline.model.sizes import USUAL, Sizes
from pipeline.outbox.quota import USUAL_QUOTA, Quota
from pipeline.sources.chunk import CHUNK_LINES


def wall_clock() -> int:
    """Return unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True, frozen=True)
class JobSettings:
    """What the steps need to know about one process of a job."""

    state: Path
    shards: int
    """How many there are in the whole job."""
    epoch_secs: float = 1.0
    formats: Formats = ALL_AUTO
    """For versions that say nothing of formats."""
    finite: bool = False
    """True for a recording that ends: nobody else waits for it."""
    replay: Replay | None = None
    """What a replay fires; None: this is the live job."""
    known: Known | None = None
    """What is known of users from the start; None: nothing."""
    drain_secs: float = 30.0
    stop_drain_secs: float = 5.0
    disk_reserve_bytes: int = 256 << 20
    chunk_lines: int = CHUNK_LINES
    """Lines usually read as one chunk."""
    sizes: Sizes = USUAL
    """How large records, ids and users may be."""
    dead_letters: Quota = USUAL_QUOTA
    """Limits on the dead letters of all shards."""
    clock: Callable[[], int] = wall_clock
    """Unix milliseconds; only for wall-clock facts of deliveries."""
