"""Who fails yields while the engine has its hands full: tries in vain must not keep the others waiting.

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
LESS, MORE = 0.8, 1.1
"""Requests in the next tenth of a second, of those in the last."""
FAIR = 1.25
"""A lane that yields is left this many times what the well ones send together."""
WELL = 0.9
"""Who answers well in this share yields to nobody."""
LASTS_SECS = 0.3
"""How long a quota holds where nobody looks again."""


class Yielding:
    """Bounds what lanes that fail send while the engine is busy, down to what is fair beside the others."""

    __slots__ = ("_at", "ended", "spent")

    def __init__(self) -> None:
        self.spent = 0.0
        """Seconds of turns since the last look."""
        self.ended = 0
        """Requests that have ended in them."""
        self._at = 0.0

    def look(self, lanes: Sequence[Lane], now: float) -> list[Lane]:
        """Look at the lanes that hold something; return those that may send again."""
        elapsed, spent = now - self._at, self.spent
        sick = [lane for lane in lanes if lane.throttle.share < WELL or lane.quota is not None]
        # A lane that is well holds nothing at most moments.
        well = int((self.ended - sum(lane.lately for lane in sick)) * FAIR)
        self._at, self.spent, self.ended = now, 0.0, 0
        freed = [lane for lane in sick if lane.quota is not None]
        for lane in sick:
            part = 1.0 if lane.throttle.share >= MOSTLY else SOONER
            before = lane.quota.given if lane.quota is not None else lane.lately
            if lane.throttle.share >= WELL:
                lane.quota = None
            elif spent > elapsed * FULL * part and lane.lately > well > 0:
                most = max(well, int(min(before, lane.lately) * LESS))
                lane.quota = Quota(most, most, now + LASTS_SECS)
            elif lane.quota is not None:
                most = int(before * MORE) + 1 if spent < elapsed * ROOM * part else before
                # Where it has sent less than it might, nothing holds it back any more.
                lane.quota = Quota(most, most, now + LASTS_SECS) if lane.lately * 2 > before else None
        return freed
