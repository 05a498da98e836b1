"""What the client's clock says, and what counts.

A client that says when it sent (`sentAt`, `sent_at`, `client_upload_time`) tells how far its clock is off:
received minus sent. Up to the tolerance that is the way over the network, and nothing is done; beyond it
every time of the request is shifted by it. A time that would still lie in the future becomes that of receipt.
The shift is written beside the member, once, so that a replay gives the same times.
"""

from __future__ import annotations

from pipeline.collect.protocols.protocol import Clock, Extra
from pipeline.model.times import MAX_MS, MIN_MS, parse_time

NONE: Extra = ()


def read_time(value: object) -> int | None:
    """Return unix milliseconds as the decoder reads them; None for what is no time."""
    if value is None:
        return None
    try:
        return parse_time(value)
    except ValueError:
        return None


def first_time(*values: object) -> int | None:
    """Return the first that is set, as unix milliseconds; None where that is no time."""
    for value in values:
        if value is not None and value != "":
            return read_time(value)
    return None


class Shift:
    """How far the times of one request are moved."""

    __slots__ = ("_header", "_latest_ms", "_received_ms", "by_ms")

    def __init__(self, clock: Clock, received_ms: int, sent_ms: int | None) -> None:
        by_ms = 0 if sent_ms is None or not clock.correct else received_ms - sent_ms
        self.by_ms = by_ms if abs(by_ms) > clock.tolerance_ms else 0
        self._header: Extra = _header(self.by_ms) if self.by_ms else NONE
        self._received_ms = received_ms
        self._latest_ms = received_ms + clock.max_future_ms

    def of(self, at_ms: int | None, *, is_right: bool = False) -> tuple[int | None, Extra]:
        """Return the time that counts, and the header that says so; ``is_right``: it needs no correction.

        None where the member says no time: it happened when it came.
        """
        if at_ms is None:
            return None, NONE
        by_ms = 0 if is_right else self.by_ms
        counts = at_ms + by_ms
        if counts > self._latest_ms or not MIN_MS <= counts <= MAX_MS:
            return self._received_ms, _header(self._received_ms - at_ms)
        return counts, self._header if by_ms else NONE


def _header(by_ms: int) -> Extra:
    return (("hk-shift", b"%d" % by_ms),)
