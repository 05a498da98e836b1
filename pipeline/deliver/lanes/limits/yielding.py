"""Failing lanes yield while the engine is busy: vain attempts must not delay the others.

A receiver that fails nine of ten at once costs ten requests for one delivery, which is fine while there is
time for them. Where there is none they would take it from the worker that reads the next events, and from
lanes whose requests succeed (P4). A lane that yields sends a part of its requests at once, then rests: spread
evenly they would cost nearly as much, a turn of the loop each.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.deliver.lanes.lane import Lane, Quota

FULL, ROOM = 0.45, 0.35
"""Parts of its time that the engine spends in turns: above the first who fails yields, below the second it
comes back. The rest goes to reading answers, and to the worker, which shares the interpreter's lock."""
MOSTLY, SOONER = 0.4, 0.75
"""Who answers well in a smaller share than the first yields at this part of both already."""
CPU_FULL, CPU_ROOM, CPU_IDLE = 0.85, 0.7, 0.35
"""The same for the CPU that the whole process takes, of a core: its threads share the interpreter's lock.
Below the last who sends little has its quota no more."""
LESS, MORE = 0.8, 1.1
"""Requests in the next tenth of a second, of those in the last."""
FAIR, LEAST = 1.5, 0.5
"""A lane that yields is left a part of what the well ones send together: the first times its share of good
answers, at least the second. A receiver that fails half gets three tries for four of theirs."""
BEHIND, MOST = 0.1, 0.5
"""Weight of a look in the part of them in which nothing was gathered; from what part on there is a backlog.
Where there is none, those that are well take what they need, and who fails is left its share of what is fair.
"""
WELL = 0.9
"""Who answers well in this share yields to nobody."""
SMOOTHING = 0.3
"""Weight of the last look in what the well ones send."""
LASTS_SECS = 0.3
"""How long a quota holds where nobody looks again."""


class Yielding:
    """Bounds what lanes that fail send while the engine is busy, down to what is fair beside the others."""

    __slots__ = ("_at", "_behind", "_cpu", "_well", "ended", "spent")

    def __init__(self) -> None:
        self.spent = 0.0
        """Seconds of turns since the last look."""
        self.ended = 0
        """Requests that have ended in them."""
        self._at = self._cpu = 0.0
        self._well = 0.0
        """Requests of the lanes that are well between two looks, smoothed."""
        self._behind = 1.0
        """In what part of the looks more came than can be gathered, smoothed."""

    def look(self, lanes: Sequence[Lane], now: float, cpu: float = 0.0, *, behind: bool = True) -> list[Lane]:
        """Look at the lanes that hold something; return those that may send again.

        cpu: seconds that the process has taken so far. behind: whether more comes than is gathered.
        """
        elapsed, spent, used = now - self._at, self.spent, cpu - self._cpu
        sick = [lane for lane in lanes if lane.throttle.share < WELL or lane.quota is not None]
        # A lane that is well holds nothing at most moments.
        well = self.ended - sum(lane.lately for lane in sick)
        self._well += (well - self._well) * (SMOOTHING if self._well else 1.0)
        self._at, self._cpu, self.spent, self.ended = now, cpu, 0.0, 0
        self._behind += (behind - self._behind) * BEHIND
        freed = [lane for lane in sick if lane.quota is not None]
        for lane in sick:
            part = elapsed * (1.0 if lane.throttle.share >= MOSTLY else SOONER)
            is_full = spent > part * FULL or used > elapsed * CPU_FULL
            has_room = spent < part * ROOM and used < elapsed * CPU_ROOM
            before = lane.quota.given if lane.quota is not None else lane.lately
            fair = int(self._well * max(LEAST, lane.throttle.share * FAIR))
            least = fair if self._behind > MOST else int(fair * lane.throttle.share)
            if lane.throttle.share >= WELL:
                lane.quota = None
            elif is_full and lane.lately > least > 0:
                most = max(least, int(min(before, lane.lately) * LESS))
                lane.quota = Quota(most, most, now + LASTS_SECS)
            elif lane.quota is not None:
                # By and by: a source that catches up after an epoch's end is behind for a moment, too.
                more = int(before * MORE) + 1
                most = more if has_room else max(before, min(least, more))
                # Where it has sent less than it might, nothing holds it back any more: unless it could not,
                # as the worker stood still at an epoch's end.
                is_idle = lane.lately * 2 <= before and used < elapsed * CPU_IDLE
                lane.quota = None if is_idle else Quota(most, most, now + LASTS_SECS)
        return freed
