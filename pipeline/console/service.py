"""The process of a console: it serves its pages until a signal comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from pipeline.console.app import make_app
from pipeline.console.context import Console, Options
from pipeline.model.errors import HooklineError, Stopped, UsageError
from pipeline.model.process.stop import requested, stoppable
from pipeline.telemetry import log

_log = log.get("console")
STOP_SECS = 2.0
LOOK_SECS = 0.1


def run_console(options: Options, *, listening: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM. listening: called with the one-time link once requests are taken.

    Raises UsageError where it cannot listen there.
    """
    with stoppable(lambda number: _log.info("stopping")):
        asyncio.run(_serve(Console(options), listening))


async def _serve(console: Console, listening: Callable[[str], None]) -> None:
    options = console.options
    runner = web.AppRunner(make_app(console), access_log=None, shutdown_timeout=STOP_SECS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, options.host, options.port).start()
        except OSError as error:
            raise UsageError(f"cannot listen on {options.host}:{options.port}: {error.strerror}") from error
        # A config of a thousand webhooks takes seconds to read: not while somebody types.
        preparing = asyncio.create_task(asyncio.to_thread(_prepare, console))
        listening(link(console, runner.addresses[0][1]))
        while not requested():
            await asyncio.sleep(LOOK_SECS)
    finally:
        console.workbench.close()
        await runner.cleanup()
    await preparing


def _prepare(console: Console) -> None:
    try:
        console.workbench.prepare()
    except Stopped:
        pass  # before it was ready
    except HooklineError as error:
        _log.warning("the config cannot be read yet", reason=str(error))


def link(console: Console, port: int) -> str:
    """Return the address that logs a browser in, once."""
    options = console.options
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{options.base_path}/login#token={console.sessions.once}"
