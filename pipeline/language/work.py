"""How much work one event may cause for one webhook, and values computed once per event.

Work is counted, never timed: elements touched, characters read, results made. The same event and config give
the same count in every run (P5). Straight-line clauses are free; whatever can loop spends, once per loop. The
count belongs to one event and user, and starts again with the next pair, so that nothing has to be reset on
the usual path.

Webhooks that are evaluated together share a small part of the budget. Exceeding that decides nothing: whoever
catches `TooExpensive` evaluates again after `begin`, with the whole budget, and only then believes it.
Everything spent for one event and user is taken from `RECORD`: where many webhooks are expensive, the last
ones are not evaluated.
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
"""Units of work for one webhook's conditions, and again for its request: some 50 ms of one core."""
RECORD: Final = 4 * BUDGET
"""Units for all webhooks together: for conditions on the event alone, and again for everything else."""
SHARED: Final = BUDGET // 8
"""Units for webhooks evaluated together, before each is evaluated alone: a bomb wastes this much."""
REPLAY_FACTOR: Final = 10
"""How many times the budget is given where a person replays a dead letter."""
CHARS: Final = 16
"""Characters that cost as much as one element."""
FEW_STATES: Final = 40
"""Up to this size, a regex program's states surely fit into memory: one character is one step."""
PER_INSTRUCTION: Final = 2
"""Units per `CHARS` characters and instruction of a larger program. The worst one measured costs a fifth more
(8 ns per character and instruction), nearly all others a thousandth."""
FREE_CHARS: Final = 4_096
"""Texts up to this length are free: counting would cost more."""

_MEASURED_FROM: Final = 1_000
"""Number of elements from which it pays to remember a value's size."""

Known = TypeVar("Known")


class TooExpensive(RenderError):
    """One event causes more work than allowed, for one webhook or for all of them."""

    def __init__(self, place: str = "", *, for_all: bool = False) -> None:
        most, whom = (RECORD, "all webhooks together") if for_all else (BUDGET, "one webhook")
        message = f"too-expensive: this event makes more than {most:,} steps of work for {whom}"
        super().__init__(f"{message} ({place})" if place else message)
        self.place = place
        self.for_all = for_all


class _Work(threading.local):
    """The budget left for the event that this thread works on."""

    event: Event | None = None
    user: User | None = None
    left: int = SHARED
    given: int = SHARED
    """The initial value of `left`."""
    used: int = 0
    """What this event has used before that."""
    factor: int = 1

    def __init__(self) -> None:
        self.known: dict[object, object] = {}
        self.measured: list[tuple[Sized, int, object, int]] = []


_work: Final = _Work()


def begin(event: Event | None, user: User | None) -> None:
    """Give this event the whole budget of one webhook, or what is left of the total."""
    _begin(event, user, BUDGET)


def begin_next(event: Event, user: User) -> None:
    """Give the whole budget to the next webhook of the same event and user."""
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
    """Count work for an event. Raises TooExpensive where the budget is exceeded."""
    work = _work
    if work.event is not event or work.user is not user:
        _begin(event, user, SHARED)
    work.left -= size
    if work.left < 0:
        raise TooExpensive(for_all=RECORD * work.factor - work.used <= work.given < BUDGET * work.factor)


def spend_at(place: str, event: Event, user: User, size: int) -> None:
    """Like `spend`, for work whose place in the config is known: TooExpensive names it."""
    try:
        spend(event, user, size)
    except TooExpensive as error:
        raise TooExpensive(place, for_all=error.for_all) from None


def once(event: Event, user: User, key: object, find: Callable[[Event, User], Known]) -> Known:
    """Return ``find()`` for this event and user, computed once; it must depend on nothing else."""
    work = _work
    if work.event is not event or work.user is not user:
        _begin(event, user, SHARED)
    known = work.known
    if key in known:
        return known[key]  # type: ignore[return-value] # what this key's own `find` gave
    found = known[key] = find(event, user)
    return found


def extent(value: Value, price: int = 1) -> int:
    """Return the work of reading a value to its end, at this price per element.

    A text costs three units and one for each `CHARS` characters, a list five, an object ten. Counting stops
    at the budget.
    """
    if type(value) is str:
        return price * (1 + len(value) // CHARS)
    if type(value) is not list and type(value) is not dict:
        return price
    return measured(value, price, _extent)


def measured(value: list[Value] | dict[str, Value], price: int, measure: Callable[[Value, int], int]) -> int:
    """Return ``measure(value, price)``, cached for the value and price of the last calls.

    Templates read the same list of an event again and again, and measuring a long one takes longer than what
    they do with it.
    """
    if len(value) < _MEASURED_FROM:
        return measure(value, price)
    kept = _work.measured
    for one, its_price, its_measure, size in kept:
        if one is value and its_price == price and its_measure is measure and len(one) == len(value):
            return size
    size = measure(value, price)
    # No more than two: temporary values of templates must not be kept alive by this cache.
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
            continue  # the usual long list: a fifth of the time
        for inner in [one for one in inside if type(one) in _READ]:
            if type(inner) is str:
                total += 2 + len(inner) // CHARS
            else:
                total += 4 if type(inner) is list else 9
                todo.append(inner)
    return price * total


_READ: Final = frozenset((str, list, dict))


def width(value: list[Value]) -> int:
    """Return the number of elements of a list, those of nested lists included."""
    total = len(value)
    inner = [one for one in value if type(one) is list] if list in map(type, value) else []
    while inner and total <= BUDGET * _work.factor:
        total += sum(map(len, inner))
        inner = [one for several in inner for one in several if type(one) is list]
    return total


@contextmanager
def widened() -> Iterator[None]:
    """Ten times the budget inside the block: a person asked, and waits."""
    _work.factor = REPLAY_FACTOR
    _work.event = None
    try:
        yield
    finally:
        _work.factor = 1
        _work.event = None


@contextmanager
def apart() -> Iterator[None]:
    """Do not count the work inside the block: the event in progress continues with its own budget.

    For observers: what they evaluate must not change what a webhook may still use.
    """
    work = _work
    before = (work.event, work.user, work.left, work.given, work.used, work.known, work.measured)
    work.event = None
    try:
        yield
    finally:
        work.event, work.user, work.left, work.given, work.used, work.known, work.measured = before
