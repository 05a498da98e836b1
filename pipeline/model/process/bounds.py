"""Limits on reading and compiling a config: CPU time per file and in total, and memory.

An honest config takes a few milliseconds per file; one that takes seconds is an attack or a mistake.
"""

from __future__ import annotations

import contextlib
import math
import resource
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from pipeline.model.errors import ConfigError
from pipeline.model.findings import Finding
from pipeline.model.process.under_way import telling

SMALLER: Final = (
    "make it smaller: long lists go into a list file (`in: {file: ...}`), what several webhooks share into a "
    "base (`extends`), and the rest into several files"
)


@dataclass(slots=True, frozen=True)
class Bounds:
    """Seconds of CPU time, and bytes of address space beyond what the process already has."""

    file_secs: float = 10.0
    """A list file of 16 MiB takes three seconds on a middling machine, a webhook of a thousand values 0.1."""
    config_secs: float = 60.0
    more_secs: float = 0.05
    """Added for each further pass over a file."""
    memory_bytes: int = 1 << 30
    still_secs: float = 180.0
    """How long another process may spend on one file, in wall-clock time."""


USUAL: Final = Bounds()


class Exceeded(ConfigError):
    """Reading a config exceeds a limit; the finding names the file that was being read."""

    def __init__(self, what: str, file: str) -> None:
        message = f"working on it takes {what}: given up"
        self.finding = Finding(file, 0, 0, "config-too-expensive", message, SMALLER)
        super().__init__([self.finding])


def too_slow(file: str, bounds: Bounds) -> Exceeded:
    """Return the error for a file, or a config, that takes too long."""
    return Exceeded(
        f"more than {bounds.file_secs:g} s of processor time, or all files together more than "
        f"{bounds.config_secs:g} s",
        file,
    )


def too_large(file: str, bounds: Bounds) -> Exceeded:
    """Return the error for a config that takes too much memory."""
    return Exceeded(f"more than {bounds.memory_bytes >> 20:,} MiB of memory", file)


def address_space() -> int | None:
    """Return how many bytes of address space this process has; None where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[0]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()


class Allowance:
    """Holds this process to its bounds; beyond them the system sends SIGXCPU, or refuses memory."""

    def __init__(self, bounds: Bounds, base: int | None = None) -> None:
        """base: the address space that the process has without a config; None: what it has now."""
        self._bounds = bounds
        self._begun = time.process_time()
        self._turns = 0
        self._before = resource.getrlimit(resource.RLIMIT_CPU), resource.getrlimit(resource.RLIMIT_AS)
        self._secs = 0
        self.file = ""
        """The file being processed."""
        base = address_space() if base is None else base
        if base is not None:
            _lower(resource.RLIMIT_AS, base + bounds.memory_bytes, self._before[1][1])
        self.begins("")

    def begins(self, file: str) -> None:
        """Start the clock of the next file."""
        self.file = file
        self._turns += 1
        bounds, used = self._bounds, time.process_time()
        most = self._begun + bounds.config_secs + bounds.more_secs * self._turns
        secs = math.ceil(min(used + bounds.file_secs, most))
        if secs != self._secs:
            self._secs = secs
            _lower(resource.RLIMIT_CPU, max(secs, 1), self._before[0][1])

    def end(self) -> None:
        """Restore the limits that the process had."""
        resource.setrlimit(resource.RLIMIT_CPU, self._before[0])
        resource.setrlimit(resource.RLIMIT_AS, self._before[1])


def _lower(kind: int, soft: int, hard: int) -> None:
    resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


class _Over(BaseException):
    """The time is up. Not an Exception, so that no handler on the way takes it for an error of its own."""


@contextlib.contextmanager
def bounded(bounds: Bounds = USUAL, *, root: str = "") -> Iterator[None]:
    """Read and compile within bounds inside the block. Raises Exceeded, with the file.

    Nothing is bounded outside the main thread: no signal would reach it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(_number: int, _frame: FrameType | None) -> None:
        raise _Over

    before = signal.signal(signal.SIGXCPU, over)
    allowance = Allowance(bounds)
    error: Exceeded | None = None
    try:
        with telling(allowance.begins):
            yield
    except _Over:
        error = too_slow(allowance.file, bounds)
    except MemoryError:
        error = too_large(allowance.file, bounds)
    finally:
        allowance.end()
        signal.signal(signal.SIGXCPU, before)
    if error is not None:
        error.root = root
        raise error
