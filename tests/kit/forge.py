"""Starts `hookline` fast: a server that has imported everything and forks a child per command line.

A start costs a second of imports, and the tests here start jobs by the dozen. What runs in a child is the
real command line, in a process of its own that can be killed. Where memory or open files are measured, the
command is started as it is installed.

Requests are lines of JSON: argv, env, out, err (files), uid (or none), and before: functions that the child
calls first, each with one argument, by ``module:name``. Answers: ``{"pid": ..}`` to each, and
``{"pid": .., "code": ..}`` when a child has ended.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Queue
from typing import Any, NoReturn

from tests.kit.samples import ROOT

IMPORTED = (
    "pipeline.cli.jobs.run", "pipeline.cli.author.check", "pipeline.runtime.process",
    "pipeline.admin.service", "pipeline.config.models.webhook", "pipeline.deliver.http.aiohttp_client",
    "bytewax.recovery", "aiohttp", "encodings.utf_8_sig", "ctypes", "multiprocessing.util", "sqlite3",
)  # fmt: skip


class Child:
    """A process that the forge has started; what tests use of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self.ended.wait(timeout):
            raise subprocess.TimeoutExpired("hookline", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and its end is being told
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forge:
    """The server's side in the test's process."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.forge"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._started: Queue[Child] = Queue()
        self._children: dict[int, Child] = {}
        threading.Thread(target=self._read, daemon=True).start()
        atexit.register(self.close)

    def start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        out: Path,
        err: Path,
        *,
        uid: int | None = None,
        before: Mapping[str, Any] | None = None,
    ) -> Child:
        """Start `hookline` with these words."""
        assert self._server.stdin is not None
        job = {"argv": argv, "env": dict(env), "out": str(out), "err": str(err), "uid": uid}
        job["before"] = dict(before or {})
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        return self._started.get(timeout=60)

    def close(self) -> None:
        for child in self._children.values():
            child.kill()
        if self._server.stdin is not None:
            self._server.stdin.close()
        self._server.wait(10)
        if self._server.stdout is not None:
            self._server.stdout.close()

    def _read(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            said: dict[str, int] = json.loads(line)
            if "code" not in said:
                child = self._children[said["pid"]] = Child(said["pid"])
                self._started.put(child)
                continue
            child = self._children.pop(said["pid"])
            child.returncode = said["code"]
            child.ended.set()


_forge: Forge | None = None


def forge() -> Forge:
    """Return this process's forge."""
    global _forge
    if _forge is None:
        _forge = Forge()
    return _forge


# --- the server


def become(job: dict[str, Any]) -> NoReturn:
    """Be the command."""
    code = 70
    try:
        for number, name, mode in ((1, "out", os.O_TRUNC), (2, "err", os.O_APPEND)):
            file = os.open(job[name], os.O_WRONLY | os.O_CREAT | mode, 0o600)
            os.dup2(file, number)
        devnull = os.open(os.devnull, os.O_RDONLY)
        os.dup2(devnull, 0)
        os.environ.clear()
        os.environ.update(job["env"])
        if job["uid"] is not None:
            os.setgid(job["uid"])
            os.setuid(job["uid"])
        for place, argument in job["before"].items():
            module, _, name = place.partition(":")
            getattr(importlib.import_module(module), name)(argument)
        sys.argv = ["hookline", *job["argv"]]
        from pipeline.cli.app import run

        code = run()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def say(**what: int) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def serve() -> None:
    """Fork until stdin ends."""
    for module in IMPORTED:
        importlib.import_module(module)
    buffer = b""
    living = 0
    while True:
        ready, _, _ = select.select([0], [], [], 0.02 if living else None)
        if ready:
            data = os.read(0, 1 << 16)
            if not data:
                return
            buffer += data
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                pid = os.fork()
                if pid == 0:
                    become(json.loads(line))
                living += 1
                say(pid=pid)
        while living:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            living -= 1
            say(pid=pid, code=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    serve()
