"""Checks what the aiohttp client reads: strict answers, on connections in step and not too old."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from random import random
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from pipeline.deliver.http.attempt import LIFE_SECS, MAX_HEAD, MAX_WHOLE, Attempt, Fault
from pipeline.deliver.http.reader import BROKEN_OFF, OVERHEAD, AnswerError, AnswerReader
from pipeline.deliver.http.tls import words_of
from pipeline.deliver.http.trust import (
    DOUBTFUL,
    LISTEN_SECS,
    Ear,
    Sign,
    is_farewell,
    may_be_farewell,
    sign_of,
)

_LONGEST = MAX_HEAD + OVERHEAD * MAX_WHOLE
"""Bytes of a chunked answer that are read from the wire."""
SENDING: ContextVar[Attempt] = ContextVar("SENDING")
"""The attempt that a task sends."""


class BadAnswer(aiohttp.ClientError):
    """An answer that cannot be accepted. ``begun``: the status that it had said before."""

    def __init__(self, error: AnswerError) -> None:
        super().__init__(str(error))
        self.fault: Fault = error.fault
        self.begun = error.status


class HungUp(aiohttp.ClientError):
    """The connection closed before any byte of an answer, or with an error that may be none.

    Not one of the errors after which aiohttp itself sends a request again. was_used: it had served others
    before.
    """

    def __init__(self, error: BaseException | None, wire: Wire) -> None:
        told = "the connection was closed before an answer"
        super().__init__(told if error is None else f"{type(error).__name__}: {error}")
        self.fault: Fault = "closed" if error is None else "reset"
        self.was_used = wire.used > 1
        self._wire = wire

    async def settled(self) -> None:
        """Wait until the loop has reported why the connection closed: a write may notice it earlier."""
        for _ in range(3):
            await asyncio.sleep(0)
        if isinstance(self._wire.lost, ssl.SSLError):
            self.fault, self.args, self.was_used = "tls", (words_of(self._wire.lost),), False


class ProxyError(aiohttp.ClientError):
    """The proxy is at fault, not the receiver behind it."""


class Peer:
    """The other end of some connections.

    doubt: called with each sign that it is out of step. count: called with 1 and -1 where one opens and
    closes.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        doubt: Callable[[Sign], None] = lambda sign: None,
        trusted: Callable[[], bool] = lambda: True,
        count: Callable[[int], object] = lambda change: None,
    ) -> None:
        self.clock = clock
        self.doubt = doubt
        self.trusted = trusted
        self.count = count


class Wire(ResponseHandler):
    """An aiohttp connection whose parser gets answers through the reader that both clients share."""

    def __init__(self, loop: asyncio.AbstractEventLoop, peer: Peer) -> None:
        super().__init__(loop)
        self._peer = peer
        self._born = peer.clock() - random() * LIFE_SECS / 4
        self._reader: AnswerReader | None = None
        self._ear: Ear | None = None
        self._bodyless = self._early = False
        self._heard = 0
        self.used = 0
        """Requests that it has carried."""
        self.lost: BaseException | None = None
        """Why it ended."""

    @property
    def should_close(self) -> bool:
        """True where the connection must not be reused."""
        if super().should_close or not self._peer.trusted():
            return True
        return self._peer.clock() - self._born > LIFE_SECS

    def close(self) -> None:
        """Close at once: over TLS, uvloop would read on for half a minute, however much is sent."""
        self.abort()

    def hears(self) -> bool:
        """Return whether unread data has arrived."""
        return self._ear is not None and self._ear.hears() != 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        super().connection_made(transport)
        self._peer.count(1)
        sock = transport.get_extra_info("socket")
        self._ear = Ear(sock.fileno()) if sock is not None else None

    def set_response_params(self, **params: Any) -> None:
        """Expect an answer."""
        self._reader = AnswerReader()
        self._bodyless = params.get("skip_payload", False)
        self._heard = 0
        self.used += 1
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Pass on what the data holds of the answer."""
        reader = self._reader
        if not data:
            super().data_received(data)
            return
        if reader is None or reader.done:
            # Nobody asked: it could be taken for the answer to a later request.
            if not is_farewell(data):
                self._peer.doubt("unasked")
            self.force_close()
            if self.transport is not None:
                self.transport.abort()
            return
        if not self._heard:
            self._early = self._is_unsent()
        self._heard += len(data)
        begun = bool(reader.status)
        try:
            piece = reader.feed(data, bodyless=self._bodyless)
        except AnswerError as error:
            if error.fault == "protocol" and self.used > 1:
                self._peer.doubt("garbled")
            self._refuse(error)
            return
        if may_be_farewell(reader, self.used):
            self.set_exception(HungUp(None, self))
            if self.transport is not None:
                self.transport.abort()
            return
        sign = sign_of(reader, early=self._early, used=self.used) if reader.done else None
        if sign is not None:
            self._peer.doubt(sign)
            # A connection that has served nobody else cannot bring anybody else's answer.
            if self.used > 1:
                self._refuse(AnswerError("protocol", DOUBTFUL[sign]))
                return
        # The body's reader closes one that is too long; trailers and extensions are ignored.
        ends = reader.done or (reader.is_chunked and self._heard > _LONGEST)
        if ends and (not reader.keep or not reader.done or self._is_unsent()):
            self.force_close()
        if reader.is_chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
            piece += b"0\r\n\r\n" if ends else b""
        if not begun:
            piece = reader.head + piece
        if piece:
            super().data_received(piece)
        if ends and not reader.done and self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Report the status of an answer that broke off and, for a connection without any answer, whether it
        had served others before.
        """
        reader = self._reader
        self.lost = exc
        self._peer.count(-1)
        if reader is not None and not reader.status:
            if self._heard:
                fault: Fault = "closed" if exc is None else "reset"
                self.set_exception(BadAnswer(AnswerError(fault, BROKEN_OFF, reader.begun)))
            else:
                self.set_exception(HungUp(exc, self))
        elif reader is not None and reader.is_chunked and reader.ends_with_connection and exc is None:
            super().data_received(b"0\r\n\r\n")
        super().connection_lost(exc)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """End the wait; the first reason is the reason."""
        if isinstance(self.exception(), BadAnswer | HungUp):
            return
        if isinstance(exc, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError) and not self._heard:
            exc = HungUp(exc, self)
        super().set_exception(exc, *cause)

    def _is_unsent(self) -> bool:
        """Return whether a part of the request is still unsent."""
        if self.transport is not None and self.transport.get_write_buffer_size():
            return True
        return self._ear is not None and self._ear.is_unsent()

    def _refuse(self, error: AnswerError) -> None:
        """End the answer as a fault, wherever it is awaited."""
        refused = BadAnswer(error)
        self.set_exception(refused)
        if self._payload is not None:
            self._payload.set_exception(refused)
        if self.transport is not None:
            self.transport.abort()


class Connector(aiohttp.TCPConnector):
    """Opens connections of class `Wire`, and hands out only those that are in step."""

    def __init__(self, *, peer: Peer, **settings: Any) -> None:
        super().__init__(**settings)
        self._peer = peer
        # aiohttp has no other way to set the protocol class; `connect` checks that it worked.
        self._factory = partial(Wire, asyncio.get_running_loop(), peer)  # type: ignore[assignment]  # a subclass

    async def connect(self, req: aiohttp.ClientRequest, *args: Any, **more: Any) -> Any:
        """Return a connection on which no unsolicited data has arrived.

        Raises BadAnswer where a new one speaks first, ProxyError where no tunnel can be made.
        """
        while True:
            connection = await self._connect(req, *args, **more)
            if (attempt := SENDING.get(None)) is not None:
                attempt.detail = ""
            wire = connection.protocol
            if not isinstance(wire, Wire):
                raise RuntimeError(
                    f"aiohttp {aiohttp.__version__} makes connections in another way than Hookline knows: "
                    "install the version that requirements/ names"
                )
            if await self._is_in_step(wire, is_plain=not req.is_ssl()):
                return connection
            was_used = wire.used
            connection.close()
            if not was_used:
                raise BadAnswer(AnswerError("protocol", "the receiver spoke or hung up before it was asked"))

    async def _is_in_step(self, wire: Wire, *, is_plain: bool) -> bool:
        if not self._peer.trusted():
            if wire.used:
                return False
            await asyncio.sleep(LISTEN_SECS)
        # Over TLS unread bytes may mean nothing: session tickets.
        if not wire.used and not is_plain:
            return wire.is_connected()
        if wire.hears():
            await asyncio.sleep(0)  # the loop reads it: unsolicited data closes the connection
        return wire.is_connected() and not wire.hears()

    async def _connect(self, req: aiohttp.ClientRequest, *args: Any, **more: Any) -> Any:
        try:
            return await super().connect(req, *args, **more)
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError):
            raise  # these already say who failed
        except (aiohttp.ClientError, ConnectionError) as error:
            if req.proxy is None or not req.is_ssl():
                raise
            raise ProxyError(f"the proxy made no tunnel: {str(error) or type(error).__name__}") from error
