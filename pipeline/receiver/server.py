"""Runs the receiver: in a thread for tests, or in this process for `hookline receiver` and benchmarks."""

from __future__ import annotations

import asyncio
import signal
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import uvloop

from pipeline.receiver.connection import Connection, Desk
from pipeline.receiver.received import Recorder, Request
from pipeline.receiver.script import Script


class Receiver:
    """A receiver in a thread of its own; a context manager.

    ``port`` is known once it has started. ``script`` may be replaced at any time with `answer`.
    """

    def __init__(
        self,
        script: dict[str, Any] | Script | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        record: Path | None = None,
        bodies: bool = False,
        keep: bool = True,
        inspect: Callable[[Request, int], None] | None = None,
    ) -> None:
        self.recorder = Recorder(keep=keep, path=record, bodies=bodies)
        self._desk = Desk(_script(script), self.recorder, inspect)
        self._host = host
        self._tls = tls
        self.port = port
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None

    @property
    def requests(self) -> list[Request]:
        """Return what arrived so far, in order of arrival."""
        return self.recorder.requests

    @property
    def accepted(self) -> int:
        """Return how many connections were accepted."""
        return self._desk.accepted

    @property
    def connections(self) -> set[int]:
        """Return the numbers of the connections that are open."""
        return {connection.number for connection in tuple(self._desk.connections)}

    def url(self, path: str = "/") -> str:
        """Return the URL of a path."""
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}{path}"

    def answer(self, script: dict[str, Any] | Script) -> None:
        """Use another script from now on."""
        self._desk.script = _script(script)

    def hang_up(self) -> None:
        """Close every open connection, like a server that restarts."""
        loop = self._loop
        if loop is not None:
            done = threading.Event()
            loop.call_soon_threadsafe(self._hang_up, done)
            done.wait(5)

    def _hang_up(self, done: threading.Event) -> None:
        for connection in list(self._desk.connections):
            connection.transport.close()
        done.set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *exc: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self.recorder.close()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        await _serve(self._desk, self._host, self.port, self._tls, self._listening, self._stop)

    def _listening(self, port: int) -> None:
        self.port = port
        self._ready.set()


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 9000,
    script: dict[str, Any] | None = None,
    record: Path | None = None,
    bodies: bool = True,
    inspect: Callable[[Request, int], None] | None = None,
    listening: Callable[[int], None] = lambda port: None,
    control: bool = False,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM; return how many requests arrived.

    inspect: called with every request and the status it gets (0: a fault). listening: called with the port.
    control: whether ``PUT /_receiver/script`` may change the script. Raises ValueError for a bad script.
    """
    recorder = Recorder(keep=False, path=record, bodies=bodies)
    desk = Desk(Script(script), recorder, inspect, control)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await _serve(desk, host, port, tls, listening, stop)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    finally:
        recorder.close()
    return recorder.count


async def _serve(
    desk: Desk,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    listening: Callable[[int], None],
    stop: asyncio.Event,
) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(desk), host, port, ssl=tls, backlog=4096)
    listening(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    for connection in list(desk.connections):
        connection.transport.abort()
    await asyncio.sleep(0)  # lets the aborted transports report their end


def _script(given: dict[str, Any] | Script | None) -> Script:
    return given if isinstance(given, Script) else Script(given)
