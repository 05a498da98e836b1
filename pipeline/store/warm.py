"""Reads the stores once at the start, so that joins do not wait for the disk page by page.

A store is read in random order, 4 KiB at a time: cold, ten million users cost one wait for the disk per
event. Read from end to end the same file takes seconds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.store.folders import store_folders

PART_BYTES = 64 << 20
"""Read by one call, which needs neither the GIL nor memory of its own."""

_MEMINFO = Path("/proc/meminfo")
_LIMIT = Path("/sys/fs/cgroup/memory.max")


def start_warming(state: Path) -> threading.Thread:
    """Read the stores of a state directory into the page cache, beside the job, if they fit into memory.

    The thread ends by itself and may be forgotten.
    """
    thread = threading.Thread(target=warm, args=(state,), name="hookline-warm", daemon=True)
    thread.start()
    return thread


def warm(state: Path) -> int:
    """Read them; return the number of bytes read."""
    files = [folder / "data.mdb" for folder in store_folders(state)]
    done = 0
    # A store may disappear meanwhile; the job reports that.
    with suppress(OSError):
        if fit(files, free_bytes()):
            with Path(os.devnull).open("wb") as nowhere:
                for path in files:
                    with path.open("rb") as file:
                        while count := os.sendfile(nowhere.fileno(), file.fileno(), None, PART_BYTES):
                            done += count
    return done


def fit(files: Sequence[Path], free: int) -> bool:
    """Return whether the files take at most half of the free memory: others need the page cache too."""
    return sum(path.stat().st_size for path in files) * 2 <= free


def free_bytes(meminfo: Path = _MEMINFO, limit: Path = _LIMIT) -> int:
    """Return the memory that the page cache may grow into, within a container's limit; 0 where unknown."""
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return 0
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)
    with suppress(OSError, ValueError):
        free = min(free, int(limit.read_text()))
    return free
