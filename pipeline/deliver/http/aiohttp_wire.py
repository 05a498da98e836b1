"""What the aiohttp client sees of answers: heads in their strict form, connections that are not too old."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from random import random
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from pipeline.deliver.http.attempt import LIFE_SECS, Fault
from pipeline.deliver.http.heads import HeadError, HeadReader


class BadAnswer(aiohttp.ClientError):
    """A head that cannot be taken. ``begun``: the status that it told before."""

    def __init__(self, error: HeadError) -> None:
        super().__init__(str(error))
        self.fault: Fault = error.fault
        self.begun = error.status


class ProxyError(aiohttp.ClientError):
    """The proxy is at fault, not the receiver behind it."""


class Wire(ResponseHandler):
    """A connection of aiohttp whose parser gets heads from the reader that the native client uses, too."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        super().__init__(loop)
        self._clock = clock
        self._born = clock() - random() * LIFE_SECS / 4
        self._head: HeadReader | None = None

    @property
    def begun(self) -> int:
        """The status of the answer that is being read; 0: none yet."""
        return self._head.begun if self._head is not None else 0

    @property
    def should_close(self) -> bool:
        """True where the connection must not be used again."""
        return super().should_close or self._clock() - self._born > LIFE_SECS

    def set_response_params(self, **params: Any) -> None:
        """Expect an answer."""
        self._head = HeadReader()
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Pass data on once its head can be taken."""
        head = self._head
        if head is not None and not head.status and data:
            try:
                data = head.feed(data) or b""
            except HeadError as error:
                if self.transport is not None:
                    self.transport.close()
                self.set_exception(BadAnswer(error))
                return
            if not data:
                return
        super().data_received(data)


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
