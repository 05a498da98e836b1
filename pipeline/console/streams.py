"""Taps as streams: each follows the job in its own thread, with a bounded buffer for slow clients."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.model.errors import HooklineError
from pipeline.model.json import Value
from pipeline.operate.tap.filters import Filters
from pipeline.operate.tap.follow import Followed, Line, Notice

MOST_WAITING: Final = 1_000
"""Lines buffered for a slow client; further ones are counted."""
TELL_SECS: Final = 1.0
BATCH_SECS: Final = 0.1
"""How often lines are passed on, in batches."""


@dataclass(slots=True, frozen=True)
class Batch:
    """The lines since the last one."""

    lines: list[Line] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    counts: dict[str, Value] | None = None
    """Lines shown, not shown, not examined, and of the second those dropped because this client was too slow;
    None where nothing has changed."""
    is_connected: bool = True
    """False: a job is waited for."""


class TapFeed:
    """A tap in a thread of its own. Iterating yields batches, an empty one when nothing came; close() it."""

    def __init__(self, state: Path, filters: Filters, *, patient: bool) -> None:
        self._followed = Followed(state, filters.arguments(), patient=patient)
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._lines: deque[Line] = deque()
        self._notices: list[str] = []
        self._dropped = 0
        self._given = 0
        self._told: dict[str, Value] = {}
        self._was_told = False
        self._tell_at = 0.0
        self._error: HooklineError | None = None
        self._is_over = False
        self._stopped = threading.Event()
        self._begun = asyncio.Event()
        threading.Thread(target=self._follow, name="console-tap", daemon=True).start()

    async def begun(self) -> None:
        """Wait until the job listens, or is waited for. Raises HooklineError where it refuses."""
        await self._begun.wait()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Stop following."""
        self._stopped.set()

    async def __aiter__(self) -> AsyncIterator[Batch]:
        """Yield batches, ten times a second, until the tap ends. Raises HooklineError where it fails."""
        while True:
            yield self._take()
            if self._error is not None:
                raise self._error
            if self._is_over:
                return
            await asyncio.sleep(BATCH_SECS)

    def _take(self) -> Batch:
        with self._lock:
            lines, notices = list(self._lines), self._notices
            self._lines.clear()
            self._notices = []
            dropped = self._dropped
        self._given += len(lines)
        now, counts = time.monotonic(), None
        if now >= self._tell_at:
            self._tell_at = now + TELL_SECS
            followed = self._followed
            told: dict[str, Value] = {
                "shown": self._given, "not_shown": followed.not_shown + dropped,
                "not_looked_at": followed.not_looked_at, "dropped": dropped,
            }  # fmt: skip
            if told != self._told or self._was_told:
                # Once more after the last change: what is told of the last second is nothing then.
                self._was_told = told != self._told
                self._told = counts = told
        return Batch(lines, notices, counts, self._followed.is_connected)

    def _follow(self) -> None:
        """Run in the thread: pass on lines without waiting for the reader."""
        begun = False
        try:
            for one in self._followed:
                if self._stopped.is_set():
                    break
                with self._lock:
                    if isinstance(one, Notice):
                        if not one.is_count:
                            self._notices.append(one.text)
                    elif one is not None:
                        if len(self._lines) < MOST_WAITING:
                            self._lines.append(one)
                        else:
                            self._dropped += 1
                if not begun:
                    begun = True
                    self._wake()
        except HooklineError as error:
            self._error = error
        finally:
            self._is_over = True
            self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._begun.set)
        except RuntimeError:
            pass  # the console has ended meanwhile
