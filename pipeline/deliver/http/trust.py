"""Which origins answer in step: exactly one answer per request, and none before it.

In HTTP/1.1 only the order says which answer belongs to which request. An origin that once sent more or less
than was asked gets a new connection for each request, so that no answer can be taken for another's.
"""

from __future__ import annotations

import ctypes
import select
import termios
from collections.abc import Callable
from fcntl import ioctl
from functools import partial
from typing import Literal, TypeAlias

from pipeline.deliver.http.reader import AnswerReader
from pipeline.deliver.http.target import Origin, Target, authority
from pipeline.telemetry.log import get
from pipeline.telemetry.metrics import count

log = get(__name__)

Sign: TypeAlias = Literal["unasked", "surplus", "early", "garbled"]
"""Evidence that an origin is out of step. ``unasked``: bytes on a connection without a request in flight.
``surplus``: more data than the answer. ``early``: a success before the whole request was sent, on a
connection used before. ``garbled``: likewise, something that is not an answer."""

DISTRUST_SECS = 3600.0
MOST = 4096
"""Origins that are remembered; the one with the oldest sign is forgotten first."""

LISTEN_SECS = 0.005
"""How long to listen on a new connection to such an origin before a request is sent."""
DEEP = 64 * 1024
"""Of a longer body, a part may still be in the kernel when the answer arrives."""
_NOTHING = bytes(4)

DOUBTFUL: dict[Sign, str] = {
    "unasked": "the receiver spoke before it was asked",
    "surplus": "more than one answer came, on a connection that had served others before",
    "early": "an answer came before the request was sent, on a connection that had served others before",
    "garbled": "no answer came, on a connection that had served others before",
}
"""The detail of an attempt whose answer may be another request's."""


class Trust:
    """Used by one event loop, shared by its clients; `until` by any thread. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.doubted: dict[Origin, float] = {}
        """Origin to the end of its distrust, oldest sign first. Empty in nearly every job: check it before
        calling `trusts`."""
        self._webhooks: dict[str, Origin] = {}
        """The webhooks that send to each of them."""

    def doubt(self, target: Target, sign: Sign) -> None:
        """Record a sign; the first one is logged."""
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
        """Return the number of distrusted origins."""
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
"""Keeps the GIL. `select.poll` releases it for half a microsecond, and a worker waiting for it would then
keep it for milliseconds, before each request."""
_ONE = ctypes.c_ulong(1)


class _Asked(ctypes.Structure):
    """The argument of poll(2) for one descriptor."""

    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


class Ear:
    """Tells what a socket holds that is unread or unsent. descriptor: of an open socket."""

    __slots__ = ("_descriptor", "hears")

    def __init__(self, descriptor: int) -> None:
        asked = _Asked(descriptor, select.POLLIN, 0)
        self.hears: Callable[[], int] = partial(_poll, ctypes.byref(asked), _ONE, 0)
        """Returns 0 where nothing unread has arrived: no bytes, and no end of file. Costs a system call."""
        self._descriptor = descriptor

    def hears_words(self) -> bool:
        """Return whether unread bytes have arrived."""
        return self._ask(termios.FIONREAD)

    def is_unsent(self) -> bool:
        """Return whether the other side has yet to acknowledge bytes of ours."""
        return self._ask(termios.TIOCOUTQ)

    def _ask(self, question: int) -> bool:
        try:
            return ioctl(self._descriptor, question, _NOTHING) != _NOTHING
        except OSError:
            return False  # it is closed


def sign_of(reader: AnswerReader, *, early: bool, used: int) -> Sign | None:
    """Return the sign of being out of step that a complete answer gives.

    early: it began before all of the request was sent. used: how many requests the connection has had.
    """
    if reader.surplus and not is_farewell(reader.surplus):
        return "surplus"
    # An error may come early (RFC 9112, 9.3), before the whole request is read.
    return "early" if early and used > 1 and reader.status < 400 else None


def may_be_farewell(reader: AnswerReader, used: int) -> bool:
    """Return whether an answer, of which the head is read, may have been sent before its request was.

    Before they close an idle connection some send an error (408; embedded servers 400). With the next request
    on its way by then, it would be taken for the answer to that. used: how many requests the connection has
    had.
    """
    return reader.status in (400, 408) and used > 1 and not (reader.keep or reader.surplus)


def is_farewell(data: bytes) -> bool:
    """Return whether unsolicited bytes only say that the connection is closing.

    Some send empty lines after a body, or an empty chunk after a 204; some, before they close an idle
    connection, a timeout error (HAProxy, load balancers of clouds; Go's client knows it too).
    """
    said = data.lstrip(b"\r\n")
    return said.rstrip(b"\r\n") in (b"", b"0") or (said.startswith((b"HTTP/1.1 408 ", b"HTTP/1.0 408 ")))
