"""The process of a console: serves pages until a signal arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from pipeline.config.job import PipelineConfig
from pipeline.config.models.installation.console import ConsoleSection
from pipeline.console.context import Console
from pipeline.console.glance import sample
from pipeline.console.serving.app import make_app
from pipeline.language.addresses import is_loopback
from pipeline.model.errors import HooklineError, Stopped, UsageError, cannot_listen
from pipeline.model.process.garbage import settled
from pipeline.model.process.stop import requested, stoppable
from pipeline.telemetry import log

_log = log.get("console")
STOP_SECS = 2.0
LOOK_SECS = 0.1
HEAD_SECS = 10.0
"""How long a new connection may take to send its request's head."""
IDLE_SECS = 15.0
PROXY_IDLE_SECS: Final = 620.0
"""Of a proxy's connections: longer than it keeps them. What it sends while one is being closed is a 502."""
CONNECTIONS: Final = 500
HEAD_BYTES: Final = 16 << 10
THREADS: Final = 32
"""For what pages wait for: most of them only wait, too."""


def run_console(config: Path, job: PipelineConfig, *, listening: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM. listening: called with the one-time link once it accepts requests, and
    with a new one whenever one was used.

    Raises UsageError where it cannot listen, or would let in strangers.
    """
    check_door(job.file.console)
    console = Console(config, job.state, job.file.console)
    console.audit.ready()
    with stoppable(lambda number: _log.info("stopping")):
        asyncio.run(serve(console, listening))


def check_door(section: ConsoleSection) -> None:
    """Raise UsageError where other machines can reach a console without log-in, or over plain HTTP; warn
    where all clients look alike.
    """
    host, _ = section.address
    if section.behind_proxy and section.proxy is None:
        _log.warning(
            "behind a proxy that is not named all users share its address: ten wrong tokens of a stranger "
            "lock everybody out for a minute. Set `console.proxy.from`, and let the proxy set X-Forwarded-For"
        )
    if is_loopback(host):
        return
    place = f"other machines reach {host}"
    if section.tokens is None and (section.proxy is None or section.proxy.user_header is None):
        raise UsageError(
            f"{place}: say who may log in, with `--token-file FILE` or `--proxy-user-header NAME` and "
            "`--proxy-from CIDR`, or listen on 127.0.0.1"
        )
    if not section.behind_proxy:
        raise UsageError(
            f"{place}, and tokens would be sent unencrypted: put a proxy with TLS in front and "
            "pass `--behind-proxy`, or listen on 127.0.0.1"
        )


async def serve(
    console: Console, listening: Callable[[str], None], *, stopped: Callable[[], bool] = requested
) -> None:
    """Serve until it is stopped."""
    host, port = console.section.address
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "console"))
    runner = web.AppRunner(
        make_app(console),
        access_log=None,
        shutdown_timeout=STOP_SECS,
        keepalive_timeout=PROXY_IDLE_SECS if console.section.behind_proxy else IDLE_SECS,
        max_line_size=HEAD_BYTES,
        max_field_size=HEAD_BYTES,
        auto_decompress=False,  # nobody compresses requests to us: bad gzip would be our error
    )
    await runner.setup()
    server: asyncio.Server | None = None
    try:
        try:
            server = await asyncio.get_running_loop().create_server(
                _Doorman(runner, console), host, port, reuse_address=True
            )
        except OSError as error:
            raise cannot_listen(host, port, error) from error
        # A config of a thousand webhooks takes seconds to read: not while somebody types.
        sampling = asyncio.create_task(sample(console))
        preparing = asyncio.create_task(asyncio.to_thread(_prepare, console))
        console.port = int(server.sockets[0].getsockname()[1])
        console.sessions.listens(console.port)
        console.announce = lambda token: listening(link(console.section, console.port, token))
        console.announce(console.sessions.once)
        settled()
        while not stopped():
            await asyncio.sleep(LOOK_SECS)
        sampling.cancel()
    finally:
        if server is not None:
            server.close()
        console.workbench.close()
        await runner.cleanup()
    await preparing


def _prepare(console: Console) -> None:
    try:
        console.workbench.prepare()
    except (Stopped, OSError):
        pass  # its pipes were closed before it was ready
    except HooklineError as error:
        _log.warning("the config cannot be read yet", reason=str(error))


class _Doorman:
    """Creates the handler of each connection; idle ones are closed.

    Where there is no room, the oldest one without a logged-in user is closed, else the new one.
    """

    def __init__(self, runner: web.AppRunner, console: Console) -> None:
        assert runner.server is not None  # it was set up
        self._server = runner.server
        self._silent, self._known = console.silent, console.known

    def __call__(self) -> asyncio.Protocol:
        there = self._server.connections
        handler = self._server()
        self._silent.add(id(handler))
        self._known.discard(id(handler))  # of one that is gone
        has_room = len(there) < CONNECTIONS or self._made_room(there)
        asyncio.get_running_loop().call_later(HEAD_SECS if has_room else 0.0, self._look, handler)
        return handler

    def _made_room(self, there: list[RequestHandler]) -> bool:
        self._known.intersection_update(map(id, there))
        for one in there:
            if id(one) not in self._known and one.transport is not None and not one.transport.is_closing():
                one.transport.abort()
                return True
        return False

    def _look(self, handler: RequestHandler) -> None:
        if id(handler) in self._silent:
            self._silent.discard(id(handler))
            if handler.transport is not None:
                handler.transport.abort()


def link(section: ConsoleSection, port: int, token: str) -> str:
    """Return the one-time log-in link."""
    path = f"{section.base_path}/login#token={token}"
    if section.behind_proxy and section.hosts:
        return f"https://{section.hosts[0]}{path}"
    host, _ = section.address
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{path}"
