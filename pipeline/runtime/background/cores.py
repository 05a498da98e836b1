"""Keeps the threads that share the GIL on one core while they have a whole core's work to do.

The worker's and the engine's thread run one at a time. On two cores the GIL, and all data that both touch,
moves between caches at each hand-over; on one core it stays. But pinning for good would take the choice from
the scheduler: two jobs could share a core while another is idle. So they are kept together only as long as
they get nearly all of that core: as soon as others want it too, or there is less to do, the scheduler decides
again. A thread or process that one of them starts meanwhile inherits its core, and is released with it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from math import inf
from pathlib import Path

from pipeline.telemetry import log

SPAN_SECS = 0.5
"""CPU use is measured over spans of this length."""
JOIN_SHARE, LEAVE_SHARE = 0.9, 0.75
"""Of a core: what the process must use to be kept together, and what both threads must get to stay."""
MOST_SHARE = 1.5
"""Of a core: two threads that use more do much without the GIL (TLS), and would lose by sharing."""
LEAST_SHARE = 0.15
"""Of a core: a thread that uses less is not worth keeping beside the other."""
REST_SECS = 10.0
"""Pause after others wanted the core: randomly half of it more or less, so that two jobs drift apart."""
FOREIGN = ("rdk:", "libuv")
"""Name prefixes of library threads that never hold the GIL."""

_TASKS = Path("/proc/self/task")
_TICKS = os.sysconf("SC_CLK_TCK")

_log = log.get("job")

Used = dict[int, tuple[float, int]]
"""Thread to its CPU seconds so far, and the core it last ran on."""


def threads_used() -> Used:
    """Return the CPU use of this process's threads, except those of libraries; nothing but on Linux."""
    found: Used = {}
    for task in _tasks():
        try:
            head, _, rest = (_TASKS / task / "stat").read_text().rpartition(")")
        except OSError:
            continue  # it has just ended
        fields = rest.split()
        if not head.partition("(")[2].startswith(FOREIGN):
            found[int(task)] = (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[36])
    return found


def _tasks() -> list[str]:
    try:
        return os.listdir(_TASKS)
    except OSError:
        return []  # not Linux


def threads_on(cores: set[int]) -> list[int]:
    """Return the threads of this process, and of its children, that may run on exactly these cores."""
    found = []
    for thread in _family():
        try:
            if os.sched_getaffinity(thread) == cores:
                found.append(thread)
        except OSError:
            continue  # it has just ended
    return found


def _family() -> Iterator[int]:
    for task in _tasks():
        yield int(task)
        try:
            for child in (_TASKS / task / "children").read_text().split():
                yield from map(int, os.listdir(f"/proc/{child}/task"))
        except OSError:
            continue  # ended, or the kernel does not provide it


def set_cores(threads: Iterable[int], cores: set[int]) -> None:
    """Pin threads to these cores; ended ones are skipped."""
    for thread in threads:
        try:
            os.sched_setaffinity(thread, cores)
        except ProcessLookupError:
            continue


def own_cores() -> set[int]:
    """Return the cores that the calling thread may use; none where the system does not tell."""
    try:
        return os.sched_getaffinity(0)
    except AttributeError:
        return set()


def keep_on_one_core(process: int) -> None:
    """Keep this process on one of its cores; members of a job take them in turn.

    Measured: on two cores a delivery takes a quarter more CPU and time. Where the system does not support it,
    does nothing and says so.
    """
    try:
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[process % len(allowed)]})
    except (AttributeError, OSError) as error:
        _log.warning("the process cannot be kept on one core", reason=str(error))


class Cores:
    """Call `look` several times a second, from a thread that does little, and `release` at the end.

    allowed: returns the cores that the process may use; with a single one there is nothing to do. By default
    those of the calling thread, asked each time: they change with the process's group. clock: monotonic
    seconds. spent: the process's CPU seconds. on: the threads pinned to these cores.
    """

    def __init__(
        self,
        *,
        allowed: Callable[[], set[int]] = own_cores,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.process_time,
        used: Callable[[], Used] = threads_used,
        keep: Callable[[Iterable[int], set[int]], None] = set_cores,
        on: Callable[[set[int]], Iterable[int]] = threads_on,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._allowed = allowed
        self._clock, self._spent, self._used, self._chance = clock, spent, used, chance
        self._keep, self._on = keep, on
        self._at, self._cpu = clock(), spent()
        self._before: Used = {}
        self._not_before = 0.0
        self._free: set[int] = set()
        self._core: set[int] = set()
        self.kept: tuple[int, ...] = ()
        """The threads that are being kept together."""

    def look(self) -> None:
        """Keep the busy threads together, or release them."""
        now = self._clock()
        secs = now - self._at
        if secs < SPAN_SECS:
            return
        cpu = self._spent()
        share = (cpu - self._cpu) / secs
        self._at, self._cpu = now, cpu
        before, self._before = self._before, {}
        if self.kept:
            self._free = self._allowed()
            self._before = self._used()
            # Only these threads': what others of the process get on other cores tells nothing about this one.
            took = self._took(before, secs)
            if sum(took.get(thread, 0.0) for thread in self.kept) < LEAVE_SHARE:
                self.release()
                self._not_before = now + REST_SECS * (0.5 + self._chance())
            return
        if share < JOIN_SHARE or now < self._not_before:
            return
        self._before = self._used()
        if before:
            self._join(self._took(before, secs))

    def release(self) -> None:
        """Let the threads, and what they have started, run anywhere."""
        kept, self.kept = self.kept, ()
        if kept:
            self._before = {}
            # Not by the thread ids kept: one may have ended and its id been reused by another process.
            self._set(self._on(self._core), self._free)

    def _took(self, before: Used, secs: float) -> dict[int, float]:
        """Return the share of a core that each thread has used since then."""
        return {
            thread: (cpu - before[thread][0]) / secs
            for thread, (cpu, _) in self._before.items()
            if thread in before
        }

    def _join(self, took: dict[int, float]) -> None:
        busy = sorted(took, key=took.__getitem__, reverse=True)[:2]
        if len(busy) < 2 or took[busy[1]] < LEAST_SHARE:
            return
        if not LEAVE_SHARE <= took[busy[0]] + took[busy[1]] <= MOST_SHARE:
            return
        allowed, core = self._allowed(), self._before[busy[0]][1]
        if len(allowed) > 1 and core in allowed and self._set(busy, {core}):
            self.kept, self._free, self._core = tuple(busy), allowed, {core}

    def _set(self, threads: Iterable[int], cores: set[int]) -> bool:
        try:
            self._keep(threads, cores)
        except OSError as error:
            # Not allowed here; without pinning nothing is worse than before.
            self._not_before = inf
            _log.info("busy threads are not kept on one core", reason=str(error))
            return False
        return True
