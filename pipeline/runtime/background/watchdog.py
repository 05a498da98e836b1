"""Watches from a thread of its own: a clock set back, a state directory that is taken away, a worker that
stands still, a stop unheard.

Bytewax keeps every timer as a time of day (the next poll of a source, the end of an epoch, the wake-up of a
shard). Set the clock back by an hour and they all stand still for an hour; nothing reaches into an armed
one, so the flow ends there and the process starts anew from the last epoch (`runtime/reexec.py`). A step back
of less than `STEP_SECS` delays the job by as much, steps forward and slow corrections by nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.job.control.drain import Drain
from pipeline.job.control.failure import Failure
from pipeline.job.control.pulse import Pulse
from pipeline.model.errors import ClockSetBack, HooklineError
from pipeline.model.process.exits import Exit
from pipeline.telemetry import log
from pipeline.telemetry.happenings import CLOCK_SET_BACK, WORKER_STILL

LOOK_SECS = 0.25
STEP_SECS = 1.0
"""A smaller step back only delays the job by as much."""
PLACE_LOOKS = 4
"""The state directory is looked at once in so many looks."""
LOOKS = 4
"""How many earlier looks a clock is compared with, as it may be set back in several small steps."""
PAUSE_SECS = 5.0
"""A look that comes so much too late was kept from coming: by SIGSTOP, or as the machine was paused."""
GRACE_SECS = 5.0
"""How much longer than the drain time a stalled worker may take after a stop was requested."""
ALARM = signal.SIGUSR2
"""The signal that interrupts the main thread."""
_MAIN = threading.main_thread().ident or 0
_STORES = "pipeline.store."
"""The modules that are not interrupted."""

_log = log.get("job")


class Steps:
    """Detects steps of the clock against a monotonic one."""

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall, self._steady = wall, steady
        self._seen: deque[float] = deque([wall() - steady()], maxlen=LOOKS)

    def back_secs(self) -> float:
        """Return by how much the clock was set back within the last looks; 0 where it was not."""
        now = self._wall() - self._steady()
        back = max(self._seen) - now
        self._seen.append(now)
        return back if back > STEP_SECS else 0.0


class Watchdog:
    """The thread. `watching` gives it the main thread while the flow runs.

    failure: also tells whether the state directory is still in place. also: called at each look. look_secs:
    between two. back_secs: as in `Steps`. clock: monotonic seconds. end: ends the process at once, with this
    code.
    """

    def __init__(
        self,
        pulse: Pulse,
        drain: Drain,
        failure: Failure,
        also: Callable[[], None] = lambda: None,
        *,
        look_secs: float = LOOK_SECS,
        back_secs: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._also = also
        self._pulse, self._drain, self._failure = pulse, drain, failure
        self._look_secs, self._clock, self._end = look_secs, clock, end
        self._back_secs = back_secs or Steps().back_secs
        self._error: HooklineError | None = None
        self._is_still = False
        self._looks = 0
        self._looked = clock()
        """When the last look was over."""
        self._stop_seen: float | None = None
        self._armed = False
        self._ended = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch until the end of the block, which ClockSetBack or StateError may end early."""
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.signal(ALARM, self._raise) if is_main else None
        self._armed = is_main
        thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._armed = False
            self._ended.set()
            thread.join()
            if is_main:
                signal.signal(ALARM, before)

    def _raise(self, _number: int, frame: FrameType | None) -> None:
        """Raise the error, out of whatever the flow does; but a store that is at work may have half begun a
        transaction, for whose end it would wait for ever when it is closed.
        """
        if self._armed and self._error is not None and not _in_store(frame):
            self._armed = False
            raise self._error

    def _watch(self) -> None:
        self._looked = self._clock()
        while not self._ended.wait(self._look_secs):
            self.look()

    def look(self) -> None:
        """Check clock and worker, and act on it."""
        self._forgive_pause()
        back = self._back_secs()
        if self._armed and self._error is None:
            if back:
                CLOCK_SET_BACK.happened(_log, secs=round(back, 1))
            moved = None if self._looks % PLACE_LOOKS else self._failure.beneath(None)
            self._looks += 1
            error = moved or (ClockSetBack(back) if back else None)
            if error is not None:
                self._error = error
                self._failure.note(error)
        if self._armed and self._error is not None:
            # A real signal: it also interrupts what the main thread waits for. Sent at each look until it is
            # taken.
            signal.pthread_kill(_MAIN, ALARM)
        still, is_still = self._pulse.still_secs(), self._pulse.is_still()
        if is_still and not self._is_still:
            WORKER_STILL.happened(_log, secs=round(still), at=self._pulse.place())
        elif self._is_still and not is_still:
            _log.warning("the worker turns again")
        self._is_still = is_still
        self._insist(still)
        self._also()
        self._looked = self._clock()

    def _forgive_pause(self) -> None:
        """Take no pause of the whole process (of the machine, `docker pause`) for a worker that is stuck.

        A look that itself takes long is none: a disk that hangs holds it up, and the worker.
        """
        late = self._clock() - self._looked - self._look_secs
        if late > PAUSE_SECS:
            self._pulse.resumed()
            self._stop_seen = None
            _log.warning("this process was paused, or the machine was", secs=round(late))

    def _insist(self, still: float) -> None:
        """End the process where a stop was requested and the worker does not react."""
        if not self._drain.stopping:
            return
        now = self._clock()
        if self._stop_seen is None:
            self._stop_seen = now
        patience = self._drain.secs + GRACE_SECS
        if still > patience and now - self._stop_seen > patience:
            _log.error(
                "the worker does not hear the stop: ending as a kill would; the next start goes on from "
                "the last epoch",
                secs=round(still), at=self._pulse.place(),
            )  # fmt: skip
            sys.stderr.flush()
            self._end(Exit.FATAL)


def _in_store(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(_STORES):
            return True
        frame = frame.f_back
    return False
