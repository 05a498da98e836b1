"""Copies dead letters by a thread of its own: deliveries wait for no place that is slow, refuses or is gone.

What a place does not take is tried again until it does; how much is on the way is bounded, and the rest stays
in the stores, whose rows say what is still to be copied.
"""

from __future__ import annotations

import time
from collections import deque
from threading import Condition, Thread
from typing import Final, NamedTuple

from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.copies.place import Copies, NotCopied
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import NOT_COPIED

log = logging.get(__name__)

MOST_LETTERS: Final = 1_000
MOST_BYTES: Final = 16 << 20
"""What may be on the way."""
FIRST_DELAY_SECS: Final = 1.0
MOST_DELAY_SECS: Final = 30.0
"""After a try in vain."""


class _OnTheWay(NamedTuple):
    letter: DeadLetter
    size: int
    done: deque[bytes]


class Copier:
    """One per process."""

    def __init__(self, place: Copies, *, delay_secs: float = FIRST_DELAY_SECS) -> None:
        self.fails = False
        """True while the place takes nothing."""
        self._place = place
        self._first_delay_secs = delay_secs
        self._changed = Condition()
        self._way: deque[_OnTheWay] = deque()
        self._bytes = 0
        self._thread: Thread | None = None
        self._is_closed = False
        self._until: float | None = None

    @property
    def has_room(self) -> bool:
        """True where another letter may be given."""
        return len(self._way) < MOST_LETTERS and self._bytes < MOST_BYTES

    def take(self, letter: DeadLetter, size: int, done: deque[bytes]) -> None:
        """Have a letter copied; then its key is put into ``done``. Never waits."""
        with self._changed:
            self._way.append(_OnTheWay(letter, size, done))
            self._bytes += size
            if self._thread is None:
                self._thread = Thread(target=self._run, name="copies", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait(self, secs: float) -> bool:
        """Return whether all is copied that was given; at the latest ``secs`` after the first such call.

        A place that fails is not waited for.
        """
        with self._changed:
            if self._until is None:
                self._until = time.monotonic() + secs
            left = self._until - time.monotonic()
            self._changed.wait_for(lambda: self.fails or not self._way, max(0.0, left))
            return not self._way

    def close(self) -> None:
        """Copy no more. What is under way is not waited for."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            if self._thread is None:
                self._place.close()

    def _run(self) -> None:
        delay = self._first_delay_secs
        batch: list[_OnTheWay] = []
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._way or self._is_closed)
                if self._is_closed:
                    break
                # A refused batch comes again as it was: one of several places may have taken all of it.
                batch = batch or list(self._way)
            reason = self._try(batch)
            with self._changed:
                if not reason:
                    for one in batch:
                        self._bytes -= one.size
                        one.done.append(self._way.popleft().letter.key)
                    delay, batch = self._first_delay_secs, []
                self.fails = bool(reason)
                self._changed.notify_all()
                if reason:
                    self._changed.wait_for(lambda: self._is_closed, delay)
                    delay = min(2 * delay, MOST_DELAY_SECS)
        self._place.close()

    def _try(self, batch: list[_OnTheWay]) -> str:
        """Return "" once all are copied, else why they are not."""
        try:
            self._place.copy([one.letter for one in batch])
        except NotCopied as error:
            reason = str(error)
        except Exception as error:  # a fault of ours must not end the thread
            reason = f"{type(error).__name__}: {error}"
        else:
            if self.fails:
                log.info("dead letters are copied again")
            return ""
        NOT_COPIED.happened(log, len(batch), reason=reason)
        return reason
