"""The admin socket: commands to a running job over a unix socket that only its owner can open.

One JSON object per line each way: ``{"command": "pause", "args": {...}}`` is answered by
``{"ok": true, "result": ...}`` or ``{"ok": false, "error": "what is wrong", "code": 1}``. Every process of
a job has a socket of its own in the state directory; `ask` speaks to all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from pipeline.model.errors import HooklineError, StateError
from pipeline.telemetry import log

Commands: TypeAlias = Mapping[str, Callable[..., Any]]
"""Name to a thread-safe function of keyword arguments that returns JSON data; it may block."""

MAX_LINE = 16 << 20
ASK_SECS = 60.0
_LONGEST_PATH = 100  # sun_path holds 108 bytes on Linux, 104 elsewhere
_log = log.get(__name__)


class NotRunning(HooklineError):
    """No job runs on this state directory."""

    exit_code = 1


def socket_path(state: Path, process: int) -> Path:
    """Return where a process of a job listens."""
    return state / f"control-{process}.sock"


async def serve(path: Path, commands: Commands) -> asyncio.Server:
    """Listen on the socket; raises StateError where it cannot be made."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as name:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)  # left by a process that was killed; the state's lock says it is gone
            listener.bind(name)
            # Nobody can connect before listen(), so the socket is never open to others.
            os.chmod(name, stat.S_IRUSR | stat.S_IWUSR)
        listener.setblocking(False)
        return await asyncio.start_unix_server(
            lambda reader, writer: _talk(reader, writer, commands), sock=listener, limit=MAX_LINE
        )
    except OSError as error:
        listener.close()
        raise StateError(f"{path}: the admin socket cannot be made ({error.strerror})") from error


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, commands: Commands) -> None:
    try:
        while line := await reader.readline():
            answer = await asyncio.to_thread(_answer, line, commands)
            writer.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
            await writer.drain()
    except (ConnectionError, ValueError) as error:  # ValueError: a line over the limit
        _log.warning("admin client went away", error=str(error))
    finally:
        writer.close()


def _answer(line: bytes, commands: Commands) -> dict[str, Any]:
    try:
        request = orjson.loads(line)
        command = commands[request["command"]]
        arguments = dict(request.get("args") or {})
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {"ok": False, "error": "this job does not know that command", "code": 2}
    try:
        return {"ok": True, "result": command(**arguments)}
    except HooklineError as error:
        return {"ok": False, "error": str(error), "code": error.exit_code}
    except Exception as error:
        _log.error("admin command failed", command=request["command"], exc_info=error)
        return {"ok": False, "error": f"{type(error).__name__}: {error}", "code": 4}


def ask(state: Path, command: str, /, **arguments: Any) -> list[Any]:
    """Send one command to every process of the running job and return their results.

    Raises NotRunning where none listens, and HooklineError with what a process said is wrong.
    """
    request = orjson.dumps({"command": command, "args": arguments}, option=orjson.OPT_APPEND_NEWLINE)
    results, errors = [], []
    for path in sorted(state.glob("control-*.sock")):
        answer = _exchange(path, request)
        if answer is None:
            continue
        if answer["ok"]:
            results.append(answer["result"])
        else:
            error = HooklineError(answer["error"])
            error.exit_code = answer["code"]
            errors.append(error)
    if errors:
        raise errors[0]
    if not results:
        raise NotRunning(f"no job runs on {state}")
    return results


def _exchange(path: Path, request: bytes) -> dict[str, Any] | None:
    """Return the answer of one process; None where nobody listens any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(ASK_SECS)
        try:
            with _short(path) as name:
                client.connect(name)
            client.sendall(request)
            with client.makefile("rb") as answers:
                line = answers.readline()
        except (ConnectionError, FileNotFoundError):
            return None
        except OSError as error:
            raise HooklineError(f"{path}: the job does not answer ({error})") from error
    return orjson.loads(line) if line else None


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """Give the path in a form that fits into a socket address, however deep the folder is."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
