"""Which origins answer in step: exactly one answer per request, and none before it.

HTTP/1.1 tells by order alone whose answer is whose. An origin that once said more or less than it was asked
gets a connection for each request, which no answer to another request can come over.
"""

from __future__ import annotations

import ctypes
import select
import termios
from collections.abc import Callable
from fcntl import ioctl
from functools import partial
from typing import Literal, TypeAlias

from pipeline.deliver.http.target import Origin, Target, authority
from pipeline.telemetry.log import get
from pipeline.telemetry.metrics import count

log = get(__name__)

Sign: TypeAlias = Literal["unasked", "surplus", "early", "garbled"]
"""Of an origin out of step. ``unasked``: bytes on a connection on which no request was under way.
``surplus``: more came with an answer than the answer. ``early``: a success before the whole request was
sent, on a connection used before. ``garbled``: there, something that is no answer."""

DISTRUST_SECS = 3600.0
MOST = 4096
"""Origins that are remembered; the one whose last sign is the longest ago is forgotten."""

LISTEN_SECS = 0.005
"""How long a new connection to such an origin is listened to before anything is asked."""
DEEP = 64 * 1024
"""Of a body longer than this a part may wait in the kernel when the answer comes."""
_NOTHING = bytes(4)

DOUBTFUL: dict[Sign, str] = {
    "unasked": "the receiver spoke before it was asked",
    "surplus": "more than one answer came, on a connection that had served others before",
    "early": "an answer came before the request was sent, on a connection that had served others before",
    "garbled": "no answer came, on a connection that had served others before",
}
"""What an attempt is told whose answer may be another's."""


class Trust:
    """Used by one event loop, shared by its clients; `until` by any thread. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.doubted: dict[Origin, float] = {}
        """Until when; the oldest sign first. Empty in nearly every job: look here before `trusts`."""
        self._webhooks: dict[str, Origin] = {}
        """Who sends to one of them."""

    def doubt(self, target: Target, sign: Sign) -> None:
        """Take note of a sign; the first says so."""
        origin, webhook = target.origin, target.webhook
        count("answers_out_of_step_total", webhook=webhook, sign=sign)
        now = self._clock()
        known = self.doubted.pop(origin, 0.0) > now
        self.doubted[origin] = now + DISTRUST_SECS
        self._note(webhook, origin)
        if len(self.doubted) > MOST:
            self._forget(next(iter(self.doubted)))
        if not known:
            log.warning(
                "a receiver answers what it was not asked: it gets a connection per request for an hour",
                webhook=webhook,
                origin=f"{origin.scheme}://{authority(origin)}",
                sign=sign,
                remedy="look for what answers twice, or too early: the receiver, or a proxy before it",
            )

    def trusts(self, target: Target) -> bool:
        """Return whether a connection to the target's origin may serve more than one request."""
        until = self.doubted.get(target.origin)
        if until is None:
            return True
        if until > self._clock():
            self._note(target.webhook, target.origin)
            return False
        self._forget(target.origin)
        return True

    def until(self, webhook: str) -> float:
        """Return until when a webhook's receiver gets a connection per request; 0: it does not."""
        origin = self._webhooks.get(webhook)
        until = self.doubted.get(origin, 0.0) if origin is not None else 0.0
        return until if until > self._clock() else 0.0

    def distrusted(self) -> int:
        """Return how many origins are distrusted."""
        now = self._clock()
        for origin in [each for each, until in self.doubted.items() if until <= now]:
            self._forget(origin)
        return len(self.doubted)

    def _note(self, webhook: str, origin: Origin) -> None:
        self._webhooks[webhook] = origin

    def _forget(self, origin: Origin) -> None:
        del self.doubted[origin]
        for webhook in [each for each, its in self._webhooks.items() if its == origin]:
            del self._webhooks[webhook]


_poll = ctypes.PyDLL(None).poll
"""Keeps the interpreter's lock. `select.poll` lets go of it for a look of half a microsecond, and a worker
that waits for it then keeps it for milliseconds, before each request."""
_ONE = ctypes.c_ulong(1)


class _Asked(ctypes.Structure):
    """What poll(2) is asked of one descriptor."""

    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


class Ear:
    """Tells what a socket holds that nobody has read or sent yet. descriptor: of an open socket."""

    __slots__ = ("_descriptor", "hears")

    def __init__(self, descriptor: int) -> None:
        asked = _Asked(descriptor, select.POLLIN, 0)
        self.hears: Callable[[], int] = partial(_poll, ctypes.byref(asked), _ONE, 0)
        """Returns 0 where nothing has come that is not read: no bytes, and no end. Costs a system call."""
        self._descriptor = descriptor

    def hears_words(self) -> bool:
        """Return whether bytes have come that are not read."""
        return self._ask(termios.FIONREAD)

    def is_unsent(self) -> bool:
        """Return whether the other side has yet to acknowledge bytes of ours."""
        return self._ask(termios.TIOCOUTQ)

    def _ask(self, question: int) -> bool:
        try:
            return ioctl(self._descriptor, question, _NOTHING) != _NOTHING
        except OSError:
            return False  # it is closed


def is_farewell(data: bytes) -> bool:
    """Return whether bytes that nobody asked for say no more than that the connection ends.

    Some send empty lines after a body; some, before they close an idle connection, that it took too long
    (HAProxy, load balancers of clouds; Go's client knows it too).
    """
    said = data.lstrip(b"\r\n")
    return not said or (said.startswith((b"HTTP/1.1 408 ", b"HTTP/1.0 408 ")))
