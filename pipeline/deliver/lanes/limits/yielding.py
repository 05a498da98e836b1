"""Failing lanes yield while the engine is busy: vain attempts must not delay the others.

A receiver that fails nine in ten costs ten requests per delivery, which is fine while there is time. Where
there is none, they would take it from the worker that reads the next events, and from lanes whose requests
succeed (P4). A lane that yields sends some of its requests at once, then rests: spread evenly they would
cost nearly as much, a loop turn each.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.deliver.lanes.lane import Lane, Quota

FULL, ROOM = 0.45, 0.35
"""Fraction of its time that the engine spends in turns: above the first, failing lanes start to yield; below
the second they stop. The rest goes to reading answers, and to the worker, which shares the GIL."""
MOSTLY, SOONER = 0.4, 0.75
"""A lane with a smaller share of good answers than the first yields from this fraction of both on."""
CPU_FULL, CPU_ROOM, CPU_IDLE = 0.85, 0.7, 0.35
"""The same for the CPU of the whole process, of one core: its threads share the GIL. Below the last, a lane
that sends little loses its quota."""
LESS, MORE = 0.8, 1.1
"""Change of the quota for the next tenth of a second, relative to the requests of the last."""
FAIR, LEAST = 1.5, 0.5
"""A yielding lane keeps a fraction of what the healthy ones send together: the first times its share of good
answers, at least the second. A receiver that fails half gets three tries for four of theirs."""
BEHIND, MOST = 0.1, 0.8
"""Weight of one look in the fraction of looks without gathering; from which fraction on there is a backlog.
Without one, healthy lanes take what they need, and failing ones keep their fair share."""
WELL = 0.9
"""A lane with at least this share of good answers never yields."""
SMOOTHING = 0.3
"""Weight of the last look in what the healthy lanes send."""


class Yielding:
    """Bounds what failing lanes send while the engine is busy, down to a fair share beside the others."""

    __slots__ = ("_at", "_behind", "_cpu", "_well", "ended", "spent")

    def __init__(self) -> None:
        self.spent = 0.0
        """Seconds of turns since the last look."""
        self.ended = 0
        """Requests that have ended in those turns."""
        self._at = self._cpu = 0.0
        self._well = 0.0
        """Requests of healthy lanes between two looks, smoothed."""
        self._behind = 1.0
        """Fraction of looks at which more came than could be gathered, smoothed."""

    def look(self, lanes: Sequence[Lane], now: float, cpu: float = 0.0, *, behind: bool = True) -> list[Lane]:
        """Look at the lanes that hold something; return those that may send again.

        cpu: the process's CPU seconds so far. behind: whether more arrives than is gathered.
        """
        elapsed, spent, used = now - self._at, self.spent, cpu - self._cpu
        sick = [lane for lane in lanes if lane.throttle.share < WELL or lane.quota is not None]
        # A healthy lane holds nothing at most moments.
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
                lane.quota = Quota(most, now)
            elif lane.quota is not None:
                # Gradually: a source that catches up after an epoch's end is behind for a moment, too.
                more = int(before * MORE) + 1
                most = more if has_room else max(before, min(least, more))
                # If it has sent less than it might, nothing holds it back any more: unless it could not,
                # because the worker stood still at an epoch's end.
                is_idle = lane.lately * 2 <= before and used < elapsed * CPU_IDLE
                lane.quota = None if is_idle else Quota(most, now)
        return freed
