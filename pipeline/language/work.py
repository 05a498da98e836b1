"""How much work one event may cause for one webhook, and values computed once per event.

Work is counted, never timed: elements touched, characters read, results made. The same event and config give
the same count in every run (P5). Straight-line clauses are free; what can loop spends, once per loop. The
count belongs to an event and what is known of its user, and begins anew with the next pair: nothing has to
be reset while all goes well.

Webhooks that are asked together share a small part of the budget. That decides nothing: whoever catches
`TooExpensive` asks again after `begin`, with the whole budget, and only then believes it. All that is spent
for one event and user comes out of `RECORD`: where many webhooks are dear, those behind are not asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sized
from contextlib import contextmanager
from typing import Final, TypeVar

from pipeline.model.errors import RenderError
from pipeline.model.json import Value
from pipeline.model.records import Event, User

BUDGET: Final = 1_000_000
"""Units of work that conditions, and again the request, may take for one webhook: some 50 ms of one core."""
RECORD: Final = 4 * BUDGET
"""Units for all webhooks together: in what they ask of the event alone, and again in all the rest."""
SHARED: Final = BUDGET // 8
"""What webhooks that are asked together may take before each is asked alone: so much is wasted by a bomb."""
REPLAY_FACTOR: Final = 10
"""So many times the budget is given where a person asks for a dead letter again."""
CHARS: Final = 16
"""Characters that cost what one element costs."""
FEW_STATES: Final = 40
"""Instructions of a regex's program whose states surely fit into memory: a character is one step then."""
PER_INSTRUCTION: Final = 2
"""Units of `CHARS` characters for each instruction of a larger program. The worst that was measured takes
a fifth more (8 ns a character and instruction), nearly all others a thousandth of it."""
FREE_CHARS: Final = 4_096
"""Texts up to this long are read for nothing: counting would cost more."""

_MEASURED_FROM: Final = 1_000
"""Elements from which it pays to remember how much there is in a value."""

Known = TypeVar("Known")


class TooExpensive(RenderError):
    """One event makes more work than it may, for one webhook or for all of them."""

    def __init__(self, place: str = "", *, for_all: bool = False) -> None:
        most, whom = (RECORD, "all webhooks together") if for_all else (BUDGET, "one webhook")
        message = f"too-expensive: this event makes more than {most:,} steps of work for {whom}"
        super().__init__(f"{message} ({place})" if place else message)
        self.place = place
        self.for_all = for_all


class _Work(threading.local):
    """What is left for the event that this thread works on."""

    event: Event | None = None
    user: User | None = None
    left: int = SHARED
    given: int = SHARED
    """What `left` began as."""
    used: int = 0
    """What this event has taken before that."""
    factor: int = 1

    def __init__(self) -> None:
        self.known: dict[object, object] = {}
        self.measured: list[tuple[Sized, int, object, int]] = []


_work: Final = _Work()


def begin(event: Event | None, user: User | None) -> None:
    """Give this event the whole budget of one webhook, or what is left of that of all."""
    _begin(event, user, BUDGET)


def begin_next(event: Event, user: User) -> None:
    """Give the whole budget to what comes next under the same event and user: nothing taken before counts."""
    _work.event = None
    _begin(event, user, BUDGET)


def _begin(event: Event | None, user: User | None, budget: int) -> None:
    work = _work
    if event is None or work.event is not event or work.user is not user:
        work.event, work.user, work.used = event, user, 0
        work.measured = []
    else:
        work.used += min(work.given, work.given - work.left)
    work.left = work.given = max(0, min(budget * work.factor, RECORD * work.factor - work.used))
    work.known = {}


def spend(event: Event, user: User, size: int) -> None:
    """Count work for an event. Raises TooExpensive where nothing is left."""
    work = _work
    if work.event is not event or work.user is not user:
        _begin(event, user, SHARED)
    work.left -= size
    if work.left < 0:
        raise TooExpensive(for_all=RECORD * work.factor - work.used <= work.given < BUDGET * work.factor)


def spend_at(place: str, event: Event, user: User, size: int) -> None:
    """Count work whose place in the config is known. Raises TooExpensive, with the place."""
    try:
        spend(event, user, size)
    except TooExpensive as error:
        raise TooExpensive(place, for_all=error.for_all) from None


def once(event: Event, user: User, key: object, find: Callable[[Event, User], Known]) -> Known:
    """Return what `find` gives for this event and user, found once; it must depend on nothing else."""
    work = _work
    if work.event is not event or work.user is not user:
        _begin(event, user, SHARED)
    known = work.known
    if key in known:
        return known[key]  # type: ignore[return-value] # what this key's own `find` gave
    found = known[key] = find(event, user)
    return found


def extent(value: Value, price: int = 1) -> int:
    """Return how much work it is to read a value to its end, at so many units for each element.

    A text in it is three units and one for each `CHARS` characters, a list five, an object ten. What is
    beyond the budget is not counted on.
    """
    if type(value) is str:
        return price * (1 + len(value) // CHARS)
    if type(value) is not list and type(value) is not dict:
        return price
    return measured(value, price, _extent)


def measured(value: list[Value] | dict[str, Value], price: int, measure: Callable[[Value, int], int]) -> int:
    """Return what `measure` gives for a value at a price; not asked again for one that it was just asked for.

    Templates read the same list of an event again and again, and to look through a long one takes longer
    than what they do with it.
    """
    if len(value) < _MEASURED_FROM:
        return measure(value, price)
    kept = _work.measured
    for one, its_price, its_measure, size in kept:
        if one is value and its_price == price and its_measure is measure and len(one) == len(value):
            return size
    size = measure(value, price)
    # No more than two: values that a template makes, and lets go, must not be held by this.
    kept[:] = [(value, price, measure, size), *kept[:1]]
    return size


def _extent(value: Value, price: int) -> int:
    total = 1
    most = BUDGET * _work.factor // price
    todo: list[Value] = [value] if type(value) is list or type(value) is dict else []
    while todo:
        one = todo.pop()
        kind = type(one)
        total += len(one) if kind is list else 2 * len(one)
        if total > most:
            break
        inside: Collection[Value] = one if kind is list else one.values()
        if _READ.isdisjoint(map(type, inside)):
            continue  # as most long lists are: a fifth of the time
        for inner in [one for one in inside if type(one) in _READ]:
            if type(inner) is str:
                total += 2 + len(inner) // CHARS
            else:
                total += 4 if type(inner) is list else 9
                todo.append(inner)
    return price * total


_READ: Final = frozenset((str, list, dict))


def width(value: list[Value]) -> int:
    """Return how many elements a list has, those of the lists in it included."""
    total = len(value)
    inner = [one for one in value if type(one) is list] if list in map(type, value) else []
    while inner and total <= BUDGET * _work.factor:
        total += sum(map(len, inner))
        inner = [one for several in inner for one in several if type(one) is list]
    return total


@contextmanager
def widened() -> Iterator[None]:
    """Give ten times the budget inside: a person asked, and waits."""
    _work.factor = REPLAY_FACTOR
    _work.event = None
    try:
        yield
    finally:
        _work.factor = 1
        _work.event = None


@contextmanager
def apart() -> Iterator[None]:
    """Let what happens inside count for nobody: the event that is being worked on goes on as it stood.

    For who looks on: what it asks must not change what a webhook may still take.
    """
    work = _work
    before = (work.event, work.user, work.left, work.given, work.used, work.known, work.measured)
    work.event = None
    try:
        yield
    finally:
        work.event, work.user, work.left, work.given, work.used, work.known, work.measured = before
