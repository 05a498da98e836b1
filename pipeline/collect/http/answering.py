"""The requests of one connection, answered in the order in which they arrived."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from typing import Any, Final, Protocol

import msgspec

from pipeline.collect.http import reply
from pipeline.collect.http.gate import Gate
from pipeline.collect.http.heads import Heads
from pipeline.collect.http.incoming import Incoming
from pipeline.collect.http.limits import Limits
from pipeline.collect.http.unpack import UnpackError, tried
from pipeline.collect.request import Answer, Request

_THREAD_FROM: Final = 16 << 10
"""A compressed body of this size is decompressed outside the event loop: it may take milliseconds."""
_AT_ONCE: Final = 256 << 10
"""So is a smaller one that becomes larger than this: 16 KiB may become 16 MiB."""
_LINGER_SECS: Final = 10.0
"""How long to read on after a last answer, so that the client gets to read that answer."""
WRITE_SECS: Final = 30.0


class Later(msgspec.Struct, frozen=True):
    """A pending answer. It needs no task: most requests wait for one future."""

    future: asyncio.Future[Any]
    finish: Finish
    """Called when the future is done; an exception is an internal error."""


Finish = Callable[[asyncio.Future[Any]], Answer | Later]


class Service(Protocol):
    """Answers requests."""

    def answer(self, request: Request, connection: Answering) -> Answer | Later:
        """Return the answer, or a pending one."""
        ...

    def busy(self, request: Request, retry_secs: int) -> Answer:
        """Return the answer for lack of room; the body is not read."""
        ...

    def failed(self, request: Request | None, answer: Answer, code: str) -> Answer:
        """Count this answer to a malformed request, or one beyond the limits; return it with CORS headers."""
        ...

    def broke(self, error: Exception) -> Answer:
        """Log an internal error; return the answer."""
        ...


class Host(Protocol):
    """What all connections share."""

    service: Service
    gate: Gate
    limits: Limits
    unpacker: ThreadPoolExecutor
    """A single thread: one large body is decompressed at a time."""
    heads: Heads
    closing: bool
    """Each answer is the last on its connection."""
    requests: int
    """Answered so far."""
    now: float
    """By the loop's clock, to a quarter of a second: enough for limits in seconds."""

    def opened(self, connection: Answering) -> bool:
        """Return whether there is room for one more."""
        ...

    def closed(self, connection: Answering) -> None:
        """Forget it."""
        ...


class Answering(asyncio.Protocol):
    """The queue of a connection; `Connection` fills it."""

    __slots__ = (
        "_busy",
        "_continue",
        "_host",
        "_last",
        "_loop",
        "_paused",
        "_queue",
        "_request",
        "_transport",
        "_unread",
        "deadline",
        "served",
    )

    _transport: asyncio.Transport

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop
        self._request: Incoming | None = None
        """The request being read."""
        self._queue: deque[Incoming] = deque()
        """Requests read, or being read, that are not answered yet."""
        self._busy: Incoming | None = None
        """The request being answered."""
        self._last = False
        """Further input is discarded."""
        self._continue = False
        """The client waits for 100 Continue."""
        self._paused = False
        self._unread = b""
        """Input that waits for its turn; meanwhile no more is read."""
        self.served = False
        """It has had an answer: it is not a slowloris."""
        self.deadline = inf
        """When to call `overdue`, by the loop's clock."""

    @property
    def is_idle(self) -> bool:
        """Return whether no request is in progress."""
        return not self._queue and self._busy is None and self._request is None and not self._unread

    @property
    def asks_nothing(self) -> bool:
        """Return whether no complete head has arrived: nobody would miss an answer."""
        request = self._request
        return not self._queue and self._busy is None and (request is None or not request.method)

    @property
    def may_go(self) -> bool:
        """Return whether it may be closed to make room for another one."""
        return self.asks_nothing or self.is_leaving or self.is_slow

    @property
    def is_slow(self) -> bool:
        """Return whether a body is slower than allowed while others need its room."""
        request = self._request
        if request is None or request.parked or not request.method or request.answer is not None:
            return False
        return self._host.now - request.since > self._host.limits.crowded_secs

    @property
    def inside(self) -> int:
        """Return how many bytes the gate counts as inside for the request being read."""
        return 0 if self._request is None else self._request.inside

    def overdue(self) -> None:
        """Its time is up. Called once ``deadline`` has passed."""
        raise NotImplementedError

    def give_up_slow(self) -> None:
        """Refuse the request being read, and read no more of it."""
        if self._request is not None:
            self.refuse(self._request, self._host.gate.retry_secs())

    def refuse(self, request: Incoming, retry_secs: int) -> None:
        """Refuse a request for lack of room."""
        answer = self._host.service.busy(request.whole(b"", b""), retry_secs)
        if not request.complete:
            self._give_up(request, answer)
            return
        request.answer = answer
        request.leave()
        if self._busy is None:
            self._next()

    @property
    def is_leaving(self) -> bool:
        """Return whether everything is answered that will be."""
        return self._last and not self._queue and self._busy is None

    def close(self) -> None:
        """Close it once the pending output is written."""
        self._transport.close()

    def abort(self) -> None:
        """Close it now."""
        self._transport.abort()

    # --- answering

    def entered(self) -> None:
        """A request of this connection has passed the gate."""
        if self._request is not None:
            self._request.since = self._host.now
        if self._busy is None:
            self._next()
        self._settle()

    def _next(self) -> None:
        queue = self._queue
        while queue and self._busy is None:
            request = queue[0]
            if request.answer is None and (request.parked or not request.complete):
                self._invite()
                break
            queue.popleft()
            self._busy = request
            self._serve(request)
        self._settle()

    def _serve(self, request: Incoming) -> None:
        self.deadline = inf
        if request.answer is not None:
            self._answered(request, request.answer)
            return
        raw = request.body()
        if not request.is_packed:
            self._take(request, self._ask(request, raw, raw))
            return
        at_once = min(self._limit, _AT_ONCE)
        found = tried(request.encoding, raw, at_once) if len(raw) < _THREAD_FROM else None
        if found is not None and not (isinstance(found, UnpackError) and found.status == 413):
            self._take(request, self._unpacked(request, raw, found))
        else:
            run = self._loop.run_in_executor(self._host.unpacker, tried, request.encoding, raw, self._limit)
            self._take(request, Later(run, lambda done: self._unpacked(request, raw, done.result())))

    def _ask(self, request: Incoming, body: bytes, raw: bytes) -> Answer | Later:
        try:
            return self._host.service.answer(request.whole(body, raw), self)
        except Exception as error:  # one request's fault must not end the connection of others behind a proxy
            return self._host.service.broke(error)

    def _unpacked(self, request: Incoming, raw: bytes, body: bytes | UnpackError) -> Answer | Later:
        if isinstance(body, UnpackError):
            answer = reply.error(body.status, body.code, body.message)
            return self._host.service.failed(request.whole(b"", b""), answer, body.code)
        request.holds(len(body) + len(raw))
        return self._ask(request, body, raw)

    def _take(self, request: Incoming, found: Answer | Later) -> None:
        if isinstance(found, Answer):
            self._answered(request, found)
        else:
            found.future.add_done_callback(partial(self._arrived, request, found.finish))

    def _arrived(self, request: Incoming, finish: Finish, done: asyncio.Future[Any]) -> None:
        try:
            found = finish(done)
        except Exception as error:
            found = self._host.service.broke(error)
        self._take(request, found)
        if self._busy is None:
            if self._queue:
                self._next()
            else:
                self._settle()

    @property
    def _limit(self) -> int:
        return self._host.limits.body

    def _answered(self, request: Incoming, answer: Answer) -> None:
        request.leave()
        self._busy = None
        self.served = True
        host, transport = self._host, self._transport
        host.requests += 1
        if transport.is_closing():
            return
        last = request.close or host.closing or (self._last and not self._queue)
        data = reply.wire(answer, close=last, old=request.is_old, without_body=request.method == "HEAD")
        if last:
            self._last = True
            self._write_last(data, read_all=request.complete)
            return
        transport.write(data)

    def _write_last(self, data: bytes, *, read_all: bool = False) -> None:
        self._transport.write(data)
        self._let_go()
        if read_all:
            self._transport.close()
            return
        # Closing now would reset the connection, and the client would not read why.
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self.deadline = self._host.now + _LINGER_SECS
        self._resume()

    def _let_go(self) -> None:
        """Drop the waiting requests: the room they free may admit others, even of this connection."""
        queue, self._queue = self._queue, deque()
        for request in queue:
            request.leave()

    def _invite(self) -> None:
        """Send 100 Continue, if the client waits for it and everything before is answered."""
        if self._continue and self._busy is None and self._queue and self._queue[0] is self._request:
            self._continue = False
            self._transport.write(reply.CONTINUE)

    def _pause(self) -> None:
        """Stop reading: earlier requests must finish first, so the client's time does not run."""
        self.deadline = inf
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            if not self._unread:
                self._transport.resume_reading()

    def _settle(self) -> None:
        """Read on if nothing waits, and set the deadline."""
        if self._queue and (self._busy is not None or self._queue[0].parked):
            return
        self._resume()
        if self.deadline == inf and self._busy is None:
            limits, request = self._host.limits, self._request
            secs = limits.idle_secs
            if request is not None:
                secs = limits.body_secs if request.method else limits.head_secs
            self.deadline = self._host.now + secs

    def _give_up(self, request: Incoming, answer: Answer) -> None:
        """Answer a request that is not read to its end, after those before it; stop reading."""
        request.answer = answer
        request.close = True
        request.leave()
        self._last = True
        self._settle()
        if self._busy is None:
            self._next()
