"""The time of a file so far: the running maximum of its records' times, ignoring stamps far ahead.

One timestamp far ahead would hold up everything after it, so the next `VOTES` records decide, never a clock:
if most of them lie more than `AHEAD_MS` before it, it is ignored. If fewer follow yet (the file's present
end) it is believed until later records contradict it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple, TypeAlias

AHEAD_MS = 60_000
VOTES = 100
DOUBTS = 8
"""How many timestamps are doubted at once."""

Mark: TypeAlias = tuple[int | None, bool]
"""The look at a line: its time, and whether it is an update."""


class Outlook:
    """The next lines, each looked at once.

    look: returns the mark of the line this many after the next one, None while it is not there.
    """

    def __init__(self, look: Callable[[int], Mark | None]) -> None:
        self._look = look
        self._marks: deque[Mark] = deque()
        self._calm = 0
        """How many lines after the next one are in order, so that none contradicts one before it."""
        self._highest = 0
        """The latest time among those and the next one, or later."""

    def mark(self, ahead: int) -> Mark | None:
        """Return the look at a line; 0: the next one."""
        while len(self._marks) <= ahead:
            found = self._look(len(self._marks))
            if found is None:
                return None
            self._marks.append(found)
        return self._marks[ahead]

    def advance(self, lines: int) -> None:
        """The next lines were yielded."""
        if lines >= len(self._marks):
            self._marks.clear()
        else:
            for _ in range(lines):
                self._marks.popleft()
        self._calm = max(0, self._calm - lines)

    def votes(self, stamp: int) -> tuple[int, list[int]]:
        """Return how many lines follow the next one, up to `VOTES`, and their times far before its timestamp.

        These are [] unless they are the majority of all that have a time.
        """
        if self._calm == 0:
            self._highest = stamp
        while self._calm < VOTES:
            found = self.mark(self._calm + 1)
            if found is None:
                return self._calm, []
            when = found[0]
            if when is not None:
                if when < self._highest - AHEAD_MS:
                    seen, timed, before = self._count(stamp)
                    return seen, before if 2 * len(before) > timed else []
                self._highest = max(self._highest, when)
            self._calm += 1
        return VOTES, []

    def refutes(self, stamp: int) -> bool:
        """Return whether most of the following lines lie far before a timestamp; the next line does."""
        _, timed, before = self._count(stamp)
        return 2 * (len(before) + 1) > timed + 1

    def _count(self, stamp: int) -> tuple[int, int, list[int]]:
        """Return how many lines follow, how many of them have a time, and the times far before
        the timestamp.
        """
        self.mark(VOTES)
        times = [mark[0] for mark in islice(self._marks, 1, VOTES + 1)]
        before = [when for when in times if when is not None and when < stamp - AHEAD_MS]
        return len(times), len(times) - times.count(None), before


class RunningTime(NamedTuple):
    """The running time of a file; part of its place in the recovery state."""

    latest: int | None = None
    """The running maximum; None before the first time."""
    doubts: tuple[int | None, ...] = ()
    """Timestamps that were believed although fewer than `VOTES` records had followed them, in pairs: the
    running maximum before, the timestamp."""
    since: int = 0
    """Records since the last of them."""

    def after(self, when: int | None, outlook: Outlook) -> tuple[int | None, RunningTime]:
        """Return the time by which the next record is merged, and the file's running time after it.

        when: its own time.
        """
        if when is None:
            return self.latest, self._one_on(self.latest)
        if self.doubts:
            before, stamp = self.doubts[-2:]
            if stamp is not None and when < stamp - AHEAD_MS and outlook.refutes(stamp):
                return RunningTime(before, self.doubts[:-2]).after(when, outlook)
        if self.latest is not None and when <= self.latest + AHEAD_MS:
            latest = max(self.latest, when)
            return latest, self._one_on(latest)
        seen, earlier = outlook.votes(when)
        if earlier:
            time = min(earlier) if self.latest is None else max(self.latest, min(earlier))
            return time, self._one_on(self.latest)
        if seen >= VOTES:
            return when, RunningTime(when)
        return when, RunningTime(when, (*self.doubts, self.latest, when)[-2 * DOUBTS :])

    def _one_on(self, latest: int | None) -> RunningTime:
        if self.doubts and self.since + 1 < VOTES:
            return RunningTime(latest, self.doubts, self.since + 1)
        return RunningTime(latest)
