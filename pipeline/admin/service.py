"""Runs both doors of one process, the admin socket and the pages over HTTP, in a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.admin.routes import Routes
from pipeline.admin.socket import serve
from pipeline.admin.socket_client import socket_path
from pipeline.language.addresses import split_address
from pipeline.model.errors import UsageError, cannot_listen
from pipeline.telemetry import log

if TYPE_CHECKING:
    from aiohttp import web

_log = log.get(__name__)
STOP_SECS = 2.0


class AdminService:
    """The doors of a running job or collector.

    state: the directory of the socket; None: no socket. process: its number in the job (0 for the only one).
    address: where the pages are served (``PORT`` or ``HOST:PORT``, plus the process number), then accepted
    Host names after commas; None: nowhere. token: required by the pages.
    """

    def __init__(
        self,
        *,
        state: Path | None,
        routes: Routes,
        process: int = 0,
        address: str | None = None,
        token: str | None = None,
    ) -> None:
        self._socket = None if state is None else socket_path(state, process)
        self._routes = routes
        self._address: tuple[str, int] | None = None
        self._names: tuple[str, ...] = ()
        self._token = token
        if address is not None:
            address, *names = (part.strip() for part in address.split(","))
            host, port = parse_address(address)
            self._names = (host, *names)
            self._address = (host, port + process if port else 0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="admin", daemon=True)
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None
        self.port: int | None = None
        """The port on which the pages are actually served, after `start`."""

    def start(self) -> None:
        """Listen; raises StateError or UsageError where that fails."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop listening; safe to call twice, and during a signal's clean-up."""
        if not self._thread.is_alive():
            return
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(STOP_SECS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _start(self) -> None:
        if self._socket is not None:
            self._server = await serve(self._socket, self._routes)
        if self._address is None:
            return
        # Imported here, since aiohttp takes a tenth of a second.
        from aiohttp import web

        from pipeline.admin.http import make_app

        host, port = self._address
        self._runner = web.AppRunner(
            make_app(self._routes, self._names, self._token), access_log=None, shutdown_timeout=0.5
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise cannot_listen(host, port, error, "--metrics") from error
        self.port = self._runner.addresses[0][1]
        _log.info("metrics", address=f"{host}:{self.port}")

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._server is not None and self._socket is not None:
            self._server.close()
            self._server = None
            self._socket.unlink(missing_ok=True)
        talks = asyncio.all_tasks() - {asyncio.current_task()}
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def parse_address(text: str, flag: str = "--metrics") -> tuple[str, int]:
    """Return host and port of ``PORT`` (this machine only) or ``HOST:PORT``; raises UsageError."""
    try:
        return split_address(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None
