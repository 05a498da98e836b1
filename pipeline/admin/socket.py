"""The admin socket: every route of a job over a unix socket that only its owner can open.

One JSON object per line each way: ``{"command": "webhook-order", "args": {...}}`` is answered by
``{"ok": true, "result": ...}`` or ``{"ok": false, "error": "what is wrong", "code": 1}``. Every process of
a job has a socket of its own in the state directory. A stream's answer is followed by its
lines, one JSON object each, until the client closes. Not HTTP: aiohttp costs a start 0.1 s and 16 MB.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

import orjson

from pipeline.admin.routes import Answer, Route, Routes, Stream, answer
from pipeline.admin.socket_client import fitting
from pipeline.model.errors import StateError, UsageError
from pipeline.telemetry import log

MAX_LINE = 16 << 20
TALK_SECS = 60.0
"""How long a client may take to send a line, and to read ours."""
SLOW_SECS = 600.0
"""How long a stream waits for a client that does not read: somebody may be paging through it."""
POLL_SECS = 0.1
_log = log.get(__name__)


async def serve(path: Path, routes: Routes) -> asyncio.Server:
    """Listen on the socket; raises StateError where it cannot be created."""
    table = {route.name: route for route in routes}
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with fitting(path) as name:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)  # left by a killed process; the state's lock shows that it is gone
            listener.bind(name)
            # Nobody can connect before listen(), so the socket is never open to others.
            os.chmod(name, stat.S_IRUSR | stat.S_IWUSR)
        listener.setblocking(False)
        return await asyncio.start_unix_server(
            lambda reader, writer: _talk(reader, writer, table), sock=listener, limit=MAX_LINE
        )
    except OSError as error:
        listener.close()
        raise StateError(f"{path}: the admin socket cannot be made ({error.strerror})") from error


async def _talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, table: Mapping[str, Route]
) -> None:
    try:
        while True:
            async with asyncio.timeout(TALK_SECS):
                line = await reader.readline()
            if not line:
                return
            found = await asyncio.to_thread(_answer, line, table)
            try:
                writer.write(_line(found))
                async with asyncio.timeout(TALK_SECS):
                    await writer.drain()
                if found.stream is not None:
                    await _stream(found.stream, reader, writer)
                    return
            finally:
                if found.stream is not None:
                    found.stream.close()
    except (OSError, ValueError) as error:  # gone, too slow (TimeoutError), or a line over the limit
        _log.warning("admin client went away", error=str(error))
    except asyncio.CancelledError:
        pass  # the job is ending; if passed on, asyncio would log it as our error
    finally:
        writer.close()


async def _stream(stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write a stream's lines until the client disconnects. A slow reader is waited for: lines are dropped and
    counted meanwhile, and nobody else waits.
    """
    while not reader.at_eof():
        lines = await asyncio.to_thread(stream.take)
        if lines:
            writer.write(b"".join(lines))
            async with asyncio.timeout(SLOW_SECS):
                await writer.drain()
        await asyncio.sleep(POLL_SECS)


def _answer(line: bytes, table: Mapping[str, Route]) -> Answer:
    try:
        request = orjson.loads(line)
        route = table[request["command"]]
        arguments = dict(request.get("args") or {})
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return Answer(b"", "this job does not know that command", UsageError.exit_code)
    return answer(route, arguments)


def _line(answer: Answer) -> bytes:
    if answer.error is not None:
        return orjson.dumps(
            {"ok": False, "error": answer.error, "code": answer.code}, option=orjson.OPT_APPEND_NEWLINE
        )
    result = answer.result if isinstance(answer.result, bytes) else orjson.dumps(answer.result)
    return b'{"ok":true,"result":' + result + b"}\n"
