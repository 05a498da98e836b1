"""Corrects the times of a client whose clock is wrong.

A client that says when it sent (`sentAt`, `sent_at`, `client_upload_time`) reveals how far its clock is off:
received minus sent. Up to the tolerance that is network delay, and nothing is done; beyond it every time of
the request is shifted. A time that would still lie in the future becomes that of receipt. The shift is stored
beside the member, so that a replay yields the same times.
"""

from __future__ import annotations

from functools import lru_cache

from pipeline.collect.protocols.protocol import Clock, Extra
from pipeline.collect.request import Request
from pipeline.model.times import MAX_MS, MIN_MS, format_iso, time_or_none

NONE: Extra = ()
_LONG = len("2026-11-28T11:44:51.123Z")
_USUAL = {_LONG}
_MS_FROM = 100_000_000_000
"""A smaller number is no time in milliseconds, and PostHog does not read seconds here."""


def read_time(value: object) -> int | None:
    """Return unix milliseconds as the decoder reads them; None for an invalid time."""
    if value is None:
        return None
    try:
        return time_or_none(value)
    except ValueError:
        return None


def read_milliseconds(text: str | None) -> int | None:
    """Return the time that browsers' SDKs put into the query as they send; None where it is none."""
    if text is None or not text.isdecimal() or not _MS_FROM <= (ms := int(text[:20])) < 10**14:
        return None
    return ms


class Shift:
    """By how much the times of one request are moved."""

    __slots__ = (
        "_before",
        "_clock",
        "_header",
        "_is_said",
        "_latest_ms",
        "_received_ms",
        "_request",
        "by_ms",
    )

    def __init__(self, clock: Clock, request: Request, sent_ms: int | None) -> None:
        received_ms = request.received_ms
        self._clock = clock
        self._request = request
        self._is_said = sent_ms is not None
        # A slow upload, or a wait for room here, says nothing about the clock.
        by_ms = 0 if sent_ms is None or not clock.correct else received_ms - request.delay_ms - sent_ms
        self.by_ms = by_ms if abs(by_ms) > clock.tolerance_ms else 0
        self._header: Extra = _header(self.by_ms) if self.by_ms else NONE
        self._received_ms = received_ms
        self._latest_ms = received_ms + clock.max_future_ms
        # Only a page's members are ordered by time; others are only checked for times in the future.
        self._before = "" if self.by_ms or request.origin is not None else _second(self._latest_ms // 1000)

    def are_past(self, times: list[str]) -> bool:
        """Return whether `of` certainly returns None for all of these at once: the usual case."""
        if max(times) >= self._before or set(map(len, times)) != _USUAL:
            return False
        text, n = "".join(times), len(times)
        return text[4::_LONG] == "-" * n and text[10::_LONG] == "T" * n and text[23::_LONG] == "Z" * n

    def of(self, *times: object, is_right: bool = False, sent: object = None) -> tuple[int | None, Extra]:
        """Return the corrected time of the first one set, and the header that records the correction.

        None where a member has no time (it happened when it was received), and where none is needed.
        is_right: it needs no correction. sent: when the member itself says that it was sent.
        """
        for value in times:
            if value is not None and value != "":
                break
        else:
            return None, NONE
        if sent is not None and not self._is_said and not is_right:
            moved = Shift(self._clock, self._request, read_time(sent))
            return moved.of(value)
        if type(value) is str and value < self._before and _is_plain(value):
            return None, NONE
        at_ms = read_time(value)
        return (None, NONE) if at_ms is None else self.of_ms(at_ms, is_right=is_right)

    def of_ms(self, at_ms: int, *, is_right: bool) -> tuple[int | None, Extra]:
        """The same for a time in unix milliseconds."""
        by_ms = 0 if is_right else self.by_ms
        counts = at_ms + by_ms
        if counts > self._latest_ms or not MIN_MS <= counts <= MAX_MS:
            return self._received_ms, _header(self._received_ms - at_ms)
        return counts, self._header if by_ms else NONE


def _is_plain(text: str) -> bool:
    """Return whether a text sorts like its time: 2026-11-28T11:44:51Z. Parsing it takes ten times as long."""
    return text[4:5] == "-" and text[10:11] == "T" and (text[-1] == "Z" or text[-6:] == "+00:00")


@lru_cache(maxsize=16)
def _second(secs: int) -> str:
    return format_iso(secs * 1000)[:19]


def _header(by_ms: int) -> Extra:
    return (("hk-shift", b"%d" % by_ms),)
