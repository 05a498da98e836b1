"""Holds requests of pages briefly and sorts them: a page's identify and track race each other.

What is promised: requests from pages that name a common user, by whichever of its ids, each within ``secs``
of the one before it, are written in the order of their clients' times, though none waits longer than four
times as long. The members of one request keep their order. Everything else is written in the order in which
it came. Nor does a group grow beyond `FULL` members: it goes at once, and what comes later is another one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from pipeline.collect.batch import Batch

LONGEST = 4
"""A user whose requests never cease waits so many times ``secs``."""
FULL = 16_384
"""Members that are sorted and written at a time, some 50 ms: a stranger may tie all requests together."""


class Held(Protocol):
    """What waits: a batch, and whatever belongs to it."""

    @property
    def batch(self) -> Batch:
        """What was handed over."""
        ...


H = TypeVar("H", bound=Held)


@dataclass(slots=True, eq=False)
class _Huddle(Generic[H]):
    """Requests that go together, as they share users."""

    due: float
    latest: float
    members: int = 0
    held: list[H] = field(default_factory=list)
    users: set[str] = field(default_factory=set)


class Order(Generic[H]):
    """Requests that wait for others of the same users."""

    def __init__(self, secs: float) -> None:
        self._secs = secs
        self._of: dict[str, _Huddle[H]] = {}
        self._huddles: dict[_Huddle[H], None] = {}

    def hold(self, held: H, now: float) -> None:
        """Take one; `due` says when to ask for it."""
        users = {
            user for member in held.batch.members for user in (member.user, member.also) if user is not None
        }
        met = {self._of[user]: None for user in users if user in self._of}
        # The others go to the largest one: somebody may tie millions of users together.
        huddle = max(met, key=lambda one: len(one.users), default=None)
        if huddle is None:
            huddle = _Huddle(now, now + self._secs * LONGEST)
            self._huddles[huddle] = None
        for other in met:
            if other is not huddle:
                huddle.held += other.held
                huddle.members += other.members
                huddle.latest = min(huddle.latest, other.latest)
                del self._huddles[other]
                users |= other.users
        huddle.due = min(now + self._secs, huddle.latest)
        huddle.held.append(held)
        huddle.members += len(held.batch.members)
        huddle.users |= users
        for user in users:
            self._of[user] = huddle
        if huddle.members >= FULL:
            huddle.due = now
            self._forget(huddle)

    def due(self) -> float | None:
        """Return when the first of them have waited long enough; None where none wait."""
        return min((huddle.due for huddle in self._huddles), default=None)

    def release(self, now: float, most: float = FULL) -> list[list[H]]:
        """Return those that have waited long enough; each list is to be written as one, see `places`.

        Those due first go first: one that was full goes before what came of its users later. most: once they
        have so many members, the others wait for the next call.
        """
        over = sorted((one for one in self._huddles if one.due <= now), key=lambda one: one.due)
        found, members = [], 0
        for huddle in over:
            if members >= most:
                break
            members += huddle.members
            del self._huddles[huddle]
            self._forget(huddle)
            found.append(huddle.held)
        return found

    def _forget(self, huddle: _Huddle[H]) -> None:
        for user in huddle.users:
            del self._of[user]
        huddle.users = set()

    def release_all(self) -> list[list[H]]:
        """Return all of them."""
        return self.release(float("inf"), float("inf"))


def places(batches: list[Batch]) -> list[tuple[int, int]]:
    """Return the members of requests that go together, as (batch, member), in the order to write them in."""
    keyed: list[tuple[int, int, int, int]] = []
    for number, batch in enumerate(batches):
        at_ms = None
        for index, member in enumerate(batch.members):
            own = batch.received_ms if member.at_ms is None else member.at_ms
            # A request is in order: a member that is dated back stays behind the one before it.
            at_ms = own if at_ms is None or own > at_ms else at_ms
            keyed.append((at_ms, batch.received_ms, number, index))
    keyed.sort()
    return [(number, index) for _, _, number, index in keyed]
