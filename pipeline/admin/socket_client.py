"""Asks a running job: one question to the admin socket of each of its processes."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import orjson

from pipeline.model.errors import HooklineError, Refused
from pipeline.model.json import Value
from pipeline.model.process.private import require_sight

ASK_SECS = 60.0
_LONGEST_PATH = 100  # sun_path holds 108 bytes on Linux, 104 elsewhere


class NotRunning(Refused):
    """No job runs on this state directory."""


def socket_path(state: Path, process: int) -> Path:
    """Return where a process of a job listens."""
    return state / f"control-{process}.sock"


def ask(state: Path, command: str, secs: float = ASK_SECS, /, **arguments: Value) -> list[Value]:
    """Send one command to every process of the running job and return their results.

    secs: how long a process may take to answer.

    Raises NotRunning where none listens, ClosedState where this user may not connect, and HooklineError with
    a process's error.
    """
    request = orjson.dumps({"command": command, "args": arguments}, option=orjson.OPT_APPEND_NEWLINE)
    require_sight(state)
    results, errors = [], []
    for path in sorted(state.glob("control-*.sock")):
        answer = _exchange(path, request, secs)
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
        raise NotRunning(f"no job runs on `{state}`: `hookline run` starts one")
    return results


def _exchange(path: Path, request: bytes, secs: float) -> Value:
    """Return the answer of one process; None where it no longer listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(secs)
        try:
            with fitting(path) as name:
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
def fitting(path: Path) -> Iterator[str]:
    """Yield the path in a form that fits into a socket address, however deep the folder."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
