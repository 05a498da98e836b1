"""What the aiohttp client sees of answers: their strict form, on connections that are not too old."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from random import random
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from pipeline.deliver.http.attempt import LIFE_SECS, Fault
from pipeline.deliver.http.reader import AnswerError, AnswerReader


class BadAnswer(aiohttp.ClientError):
    """An answer that cannot be taken. ``begun``: the status that it told before."""

    def __init__(self, error: AnswerError) -> None:
        super().__init__(str(error))
        self.fault: Fault = error.fault
        self.begun = error.status


class ProxyError(aiohttp.ClientError):
    """The proxy is at fault, not the receiver behind it."""


class Wire(ResponseHandler):
    """A connection of aiohttp whose parser gets what the reader of both clients makes of an answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        super().__init__(loop)
        self._clock = clock
        self._born = clock() - random() * LIFE_SECS / 4
        self._reader: AnswerReader | None = None
        self._bodyless = False

    @property
    def should_close(self) -> bool:
        """True where the connection must not be used again."""
        return super().should_close or self._clock() - self._born > LIFE_SECS

    def set_response_params(self, **params: Any) -> None:
        """Expect an answer."""
        self._reader = AnswerReader()
        self._bodyless = params.get("skip_payload", False)
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Pass on what the data holds of the answer."""
        reader = self._reader
        if reader is None or not data:
            super().data_received(data)
            return
        begun, done = bool(reader.status), reader.done
        try:
            piece = reader.feed(data, bodyless=self._bodyless)
        except AnswerError as error:
            self._refuse(error)
            return
        if not reader.keep:
            self.force_close()
        if reader.is_chunked and not done:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
            piece += b"0\r\n\r\n" if reader.done else b""
        if not begun:
            piece = reader.head + piece
        if piece:
            super().data_received(piece)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Say of a head that breaks off what it has told."""
        reader = self._reader
        if reader is not None and not reader.status and reader.begun:
            fault: Fault = "closed" if exc is None else "reset"
            told = "the connection was closed before the answer was complete"
            self.set_exception(BadAnswer(AnswerError(fault, told, reader.begun)))
        super().connection_lost(exc)

    def _refuse(self, error: AnswerError) -> None:
        """End the answer as a fault, wherever it is awaited."""
        refused = BadAnswer(error)
        self.set_exception(refused)
        if self._payload is not None:
            self._payload.set_exception(refused)
        if self.transport is not None:
            self.transport.close()


class Connector(aiohttp.TCPConnector):
    """Opens connections that are a `Wire`."""

    def __init__(self, *, clock: Callable[[], float], **settings: Any) -> None:
        super().__init__(**settings)
        # aiohttp has no other place to say what a connection is made of.
        self._factory = partial(Wire, asyncio.get_running_loop(), clock)  # type: ignore[assignment]  # a subclass

    async def _create_proxy_connection(self, *args: Any, **more: Any) -> Any:
        try:
            return await super()._create_proxy_connection(*args, **more)
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError):
            raise  # these tell themselves who it was
        except (aiohttp.ClientError, ConnectionError) as error:
            raise ProxyError(f"the proxy made no tunnel: {str(error) or type(error).__name__}") from error
