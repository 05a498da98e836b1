"""`repeat`, `limit` and `dedupe`: counted per user and `by` value, in log order, on event time.

Each keeps a few event times per user. A late event is judged by the times on both sides of its own: two
deliveries under `every: 24h` are never less than 24 hours of event time apart, in whatever order events
arrive, and one event from a clock that is years ahead does not silence the user for years.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from math import inf
from typing import Final

from pipeline.join.caps import Caps
from pipeline.language.paths import Getter
from pipeline.model.json import Value, canonical
from pipeline.model.records import MISSING, Event, Missing, User

EVER: Final = 0
"""The period of a cap that never ends."""
_MAX_USER_BYTES: Final = 128
_WHOLE_ID: Final = b"\1"
"""Ends rows that are counted by event id and scope. Rows of older versions lack it: they were kept by id
alone, and apply to every event of that id until they expire."""


@dataclass(slots=True, frozen=True)
class Cap:
    """At most so many matches in a period."""

    count: int
    within_ms: int
    by: Getter | None = None
    """The value that is counted separately; None: all matches of the user together."""
    by_id: bool = False
    """True: by the event's identity (its id, with its scope where it has one)."""


@dataclass(slots=True, frozen=True)
class Limits:
    """All limits of one webhook."""

    webhook_id: str
    repeat: Cap | None = None
    """Fire on the count-th match within the period, then start again."""
    limit: Cap | None = None
    """Fire at most this often; within `EVER`: once and for all."""
    dedupe: Cap | None = None
    """Suppress a value that was let through less than this long ago."""


class Verdict(Enum):
    """What the limits decide about a match."""

    FIRE = "fire"
    SUPPRESS = "suppress"
    """Matched but not sent: a duplicate, or over the limit."""
    NOT_YET = "not yet"
    """`repeat` is not complete: no match so far."""


def check(limits: Limits, caps: Caps, user_key: str, event: Event, user: User) -> Verdict:
    """Return what becomes of a match, and count it.

    Duplicates are removed first, so that the others do not count them; then `repeat`, then `limit`. An event
    whose `by` value is missing stands alone: never a duplicate, limited, or a repetition.
    """
    if limits.dedupe is not None and _is_duplicate(limits, limits.dedupe, caps, user_key, event, user):
        return Verdict.SUPPRESS
    if limits.repeat is not None and not _completes(limits, limits.repeat, caps, user_key, event, user):
        return Verdict.NOT_YET
    if limits.limit is not None and _is_over(limits, limits.limit, caps, user_key, event, user):
        return Verdict.SUPPRESS
    return Verdict.FIRE


def _is_duplicate(limits: Limits, dedupe: Cap, caps: Caps, user_key: str, event: Event, user: User) -> bool:
    value = _by(dedupe.by, event, user)
    if value is MISSING or value is None:
        return False
    key, stored = _stored(b"d", limits, dedupe, caps, user_key, event, value)
    times = _times(stored)
    at = _at(event, times)
    if times and abs(at - times[-1]) < dedupe.within_ms:
        return True
    _put(dedupe, caps, key, _packed(array("q", (at,))), at + dedupe.within_ms)
    return False


def _completes(limits: Limits, repeat: Cap, caps: Caps, user_key: str, event: Event, user: User) -> bool:
    """Return True where this is the count-th match within ``within_ms``; then start again."""
    value = _by(repeat.by, event, user)
    if value is MISSING:
        return repeat.count == 1
    key, stored = _stored(b"r", limits, repeat, caps, user_key, event, value)
    times = _times(stored)
    at = _at(event, times)
    times.append(at)
    # Twice the count is kept, by arrival: late events and one wrong clock must not displace the rest.
    del times[: -2 * repeat.count]
    if _shortest(times, at, repeat.count) <= repeat.within_ms:
        if stored:
            _put(repeat, caps, key, b"", at + repeat.within_ms)
        return True
    expires_ms = max(times) + repeat.within_ms
    _put(repeat, caps, key, _packed(times), expires_ms)
    return False


def _shortest(times: array[int], at: int, count: int) -> float:
    """Return the shortest time in which ``count`` of these follow, ``at`` among them; infinite for fewer."""
    ordered = sorted(times)
    first = max(0, bisect_left(ordered, at) - count + 1)
    last = min(len(ordered) - count, bisect_right(ordered, at) - 1)
    spans = (ordered[begin + count - 1] - ordered[begin] for begin in range(first, last + 1))
    return min(spans, default=inf)


def _is_over(limits: Limits, limit: Cap, caps: Caps, user_key: str, event: Event, user: User) -> bool:
    value = _by(limit.by, event, user)
    if value is MISSING:
        return False
    if limit.within_ms == EVER:
        key, stored = _stored(b"e", limits, limit, caps, user_key, event, value)
        fired = int.from_bytes(stored[:4]) if stored else 0
        if fired >= limit.count:
            return True
        _put(limit, caps, key, (fired + 1).to_bytes(4), None)
        return False
    key, stored = _stored(b"l", limits, limit, caps, user_key, event, value)
    times = _times(stored)
    at = _at(event, times)
    times.append(at)
    if _shortest(times, at, limit.count + 1) < limit.within_ms:
        return True
    # Twice the count is kept, by arrival: late events and one wrong clock must not displace the rest.
    del times[: -2 * limit.count]
    expires_ms = max(times) + limit.within_ms
    _put(limit, caps, key, _packed(times), expires_ms)
    return False


def _stored(
    kind: bytes, limits: Limits, cap: Cap, caps: Caps, user_key: str, event: Event, value: Value
) -> tuple[bytes, bytes | None]:
    """Return the key and value of a row; see `_WHOLE_ID` for rows of older versions."""
    key = _key(kind, limits, user_key, value)
    stored = caps.get(key)
    if stored is None and cap.by_id and event.id_scope is not None:
        old = caps.get(_key(kind, limits, user_key, event.id))
        if old is not None and len(old) % 4 == 0:
            return key, old
    return key, stored


def _put(cap: Cap, caps: Caps, key: bytes, value: bytes, expires_ms: int | None) -> None:
    caps.put(key, value + _WHOLE_ID if cap.by_id else value, expires_ms)


def _by(by: Getter | None, event: Event, user: User) -> Value | Missing:
    """Return the value counted separately; None for `by: null`, which counts everything together."""
    return None if by is None else by(event, user, None)


def _at(event: Event, times: array[int]) -> int:
    """Return the event's time; an event without one counts as right after the last."""
    if event.time is not None:
        return event.time
    return times[-1] if times else 0


def _key(kind: bytes, limits: Limits, user_key: str, value: Value) -> bytes:
    """Return the key: the user first, so that the rows of one user lie together."""
    user = user_key.encode("utf-8", "surrogatepass")
    if len(user) > _MAX_USER_BYTES:
        user = blake2b(user, digest_size=16).digest()
    rest = blake2b(
        limits.webhook_id.encode("utf-8", "surrogatepass") + b"\0" + canonical(value), digest_size=16
    )
    return user + b"\0" + kind + rest.digest()


def _times(stored: bytes | None) -> array[int]:
    times = array("q")
    if stored:
        times.frombytes(stored[: len(stored) // 8 * 8])
        _turn(times)
    return times


def _packed(times: array[int]) -> bytes:
    _turn(times)
    return times.tobytes()


def _turn(times: array[int]) -> None:
    """Swap the bytes of times: rows store the most significant first."""
    if sys.byteorder == "little":
        times.byteswap()
