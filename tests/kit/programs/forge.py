"""Starts `hookline` fast: a server that has imported everything and forks a child per command line.

A start costs a second of imports, and the tests here start jobs by the hundred. What runs in a child is the
real command line, in a process of its own that can be killed. Where memory or open files are measured, the
command is started as it is installed.

A request is a message on a socket: JSON, and the descriptors that become the child's stdin, stdout and
stderr. The JSON has argv, env, cwd, uid (or none), session (one of its own?), module (another one than
hookline's), places (of a child that is to be one of who asks: the numbers of the other descriptors), and
before: functions that the child calls first, each with one argument, by ``module:name``.
Answers are lines: ``{"pid": ..}`` to each, and ``{"pid": .., "code": ..}`` when a child has ended. They go to
a fourth descriptor where there is one (shim.py).
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Queue
from typing import Any, NoReturn, TextIO

from tests.kit.programs import siblings
from tests.kit.streams.samples import ROOT

IMPORTED = (
    "pipeline.cli.app", "pipeline.cli.jobs.run", "pipeline.cli.author.check", "pipeline.runtime.process",
    "pipeline.runtime.background.accompany", "pipeline.runtime.collector", "pipeline.runtime.state.resend",
    "pipeline.admin.service", "pipeline.admin.command_routes", "pipeline.admin.look_routes",
    "pipeline.admin.try_routes", "pipeline.admin.view_routes", "pipeline.collect.service",
    "pipeline.console.serving.service", "pipeline.config.models.webhooks.webhook",
    "pipeline.deliver.http.by_aiohttp.client", "bytewax.recovery", "aiohttp", "encodings.utf_8_sig", "ctypes",
    "multiprocessing.util", "sqlite3", "pipeline.operate.unsaved.child",
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

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Program(Child):
    """A child with pipes; what tests use of `subprocess.Popen[str]`."""

    def __init__(self, pid: int, stdin: int, stdout: int, stderr: int) -> None:
        super().__init__(pid)
        self.stdin: TextIO = open(stdin, "w")  # noqa: SIM115  # closed by communicate, as subprocess does
        self.stdout: TextIO = open(stdout)  # noqa: SIM115  # likewise
        self.stderr: TextIO = open(stderr)  # noqa: SIM115  # likewise
        self._said: dict[TextIO, str] = {}
        self._readers: list[threading.Thread] = []

    def communicate(self, input: str = "", timeout: float | None = None) -> tuple[str, str]:
        """Give it all of its input, wait for its end, return what it said since somebody last read."""
        if not self._readers:
            self._readers = [
                threading.Thread(target=self._read, args=(pipe,), daemon=True)
                for pipe in (self.stdout, self.stderr)
            ]
            for reader in self._readers:
                reader.start()
            with contextlib.suppress(BrokenPipeError):
                self.stdin.write(input)
                self.stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        deadline = None if timeout is None else time.monotonic() + timeout
        for reader in self._readers:
            reader.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired("hookline", timeout or 0)
        self.wait(None if deadline is None else max(0.1, deadline - time.monotonic()))
        return self._said[self.stdout], self._said[self.stderr]

    def _read(self, pipe: TextIO) -> None:
        with pipe:
            self._said[pipe] = pipe.read()


class Forge:
    """The server's side in the test's process."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.kit.programs.forge"],
                cwd=ROOT,
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                text=True,
            )
        self._started: Queue[int] = Queue()
        self._codes: dict[int, int] = {}
        self._children: dict[int, Child] = {}
        self._lock, self._asking = threading.Lock(), threading.Lock()
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
        """Start `hookline` with these words, with files for what it says: out anew, err after what is there.

        Both may be one file, which is then like err.
        """
        how = os.O_APPEND if out == err else os.O_TRUNC
        with open(os.devnull) as none, _private(out, how) as told, _private(err, os.O_APPEND) as said:
            files = [none.fileno(), told.fileno(), said.fileno()]
            return self._known(Child(self._fork(files, argv, env, uid=uid, before=before)))

    def open(
        self, argv: Sequence[str], env: Mapping[str, str], *, session: bool = False, **more: str
    ) -> Program:
        """Start `hookline` with these words, with pipes; session: in a process group of its own.

        module: run this one in its place.
        """
        (stdin, give), (take, stdout), (hear, stderr) = (os.pipe() for _ in range(3))
        try:
            pid = self._fork([stdin, stdout, stderr], argv, env, session=session, **more)
        finally:
            for theirs in (stdin, stdout, stderr):
                os.close(theirs)
        program = Program(pid, give, take, hear)
        self._known(program)
        return program

    def on_terminal(self, argv: Sequence[str], env: Mapping[str, str], follower: int) -> Child:
        """Start `hookline` with these words on a terminal, which a Ctrl-C comes from."""
        files = [follower] * 3
        return self._known(Child(self._fork(files, argv, env, session=True, controlled=True)))

    @property
    def requests(self) -> int:
        """The descriptor that takes requests, for shim.py."""
        return self._requests.fileno()

    def close(self) -> None:
        for child in list(self._children.values()):
            child.kill()
        self._requests.close()
        self._server.wait(10)
        if self._server.stdout is not None:
            self._server.stdout.close()

    def _fork(self, files: Sequence[int], argv: Sequence[str], env: Mapping[str, str], **more: Any) -> int:
        job = {"argv": list(argv), "env": dict(env), "cwd": os.getcwd(), **more}
        with self._asking:
            socket.send_fds(self._requests, [json.dumps(job).encode()], files)
            return self._started.get(timeout=60)

    def _known(self, child: Child) -> Child:
        with self._lock:
            self._children[child.pid] = child
            code = self._codes.pop(child.pid, None)
        if code is not None:  # it has ended before it was known
            self._end(child.pid, code)
        return child

    def _end(self, pid: int, code: int) -> None:
        with self._lock:
            child = self._children.pop(pid, None)
            if child is None:
                self._codes[pid] = code
                return
        child.returncode = code
        child.ended.set()

    def _read(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            said: dict[str, int] = json.loads(line)
            if "code" in said:
                self._end(said["pid"], said["code"])
            else:
                self._started.put(said["pid"])

    @contextlib.contextmanager
    def stands_in(self, module: str) -> Iterator[None]:
        """Have what this process starts with ``python -P -m module`` be forked, as a child of its own."""

        def fork(job: dict[str, Any], files: Sequence[int]) -> int:
            return self._fork(files, **job, module=module)

        before = subprocess.Popen
        self.open(["--version"], os.environ).communicate()  # once that has ended, all is imported
        if siblings.CLONE is not None:
            siblings.instead_of([sys.executable, "-P", "-m", module], fork)
        try:
            yield
        finally:
            subprocess.Popen = before  # type: ignore[misc]  # as it was


def _private(path: Path, mode: int) -> TextIO:
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o600), "w")


_forge: Forge | None = None


def forge() -> Forge:
    """Return this process's forge."""
    global _forge
    if _forge is None:
        _forge = Forge()
    return _forge


# --- the server


def become(job: dict[str, Any], files: Sequence[int]) -> NoReturn:
    """Be the command."""
    code = 70
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(job["env"])
        time.tzset()
        os.chdir(job["cwd"])
        if job.get("session"):
            os.setsid()
        if job.get("controlled"):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if siblings.wanted(job["argv"]) and "module" not in job:
            siblings.install(become)
        if job.get("uid") is not None:
            os.setgid(job["uid"])
            os.setuid(job["uid"])
        for place, argument in (job.get("before") or {}).items():
            module, _, name = place.partition(":")
            getattr(importlib.import_module(module), name)(argument)
        module = job.get("module", "pipeline.cli")
        sys.argv = [job.get("module", "hookline"), *job["argv"]]
        sys.orig_argv[1:] = ["-m", module, *job["argv"]]  # of a job that starts itself anew
        if "module" in job:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            raise SystemExit(0)
        from pipeline.cli import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        code = 1
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def say(to: int, **what: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # who asked is gone
        os.write(to, json.dumps(what).encode() + b"\n")


def serve() -> None:
    """Fork until nobody asks any more."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests may run under nohup, which commands respect
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # as `main` does before it imports
    for module in IMPORTED:
        importlib.import_module(module)
    # An endless job soon starts the process in which edits are tried, which imports for a second. Most jobs
    # of tests see no edit; the others start it then.
    sys.modules["pipeline.runtime.background.reload"].__dict__["PREPARE_SECS"] = 3600.0
    gc.freeze()  # a child's collections need not look through what is imported, nor copy its pages
    requests = socket.socket(fileno=0)
    living: dict[int, tuple[int, int]] = {}
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready:
                poll.unregister(ready)
                os.close(ready)
                child, asked = living.pop(ready)
                pid, status = os.waitpid(child, 0)
                say(asked, pid=pid, code=os.waitstatus_to_exitcode(status))
                if asked != 1:
                    os.close(asked)
                continue
            data, files, _, _ = socket.recv_fds(requests, 1 << 20, 16)
            if not data:
                os._exit(0)
            job = json.loads(data)
            is_theirs = "places" in job  # a child of who asked
            asked = files.pop() if len(files) == 4 and not is_theirs else 1
            pid = siblings.sibling() if is_theirs else os.fork()
            if pid == 0:
                for descriptor, (_, other) in living.items():
                    os.close(descriptor)
                    if other != 1:
                        os.close(other)
                if asked != 1:
                    os.close(asked)
                become(job, siblings.placed(files, job["places"]) if is_theirs else files)
            for file in files:
                os.close(file)
            if is_theirs:
                say(1, pid=pid)
                continue
            descriptor = os.pidfd_open(pid)
            living[descriptor] = pid, asked
            poll.register(descriptor, select.POLLIN)
            say(asked, pid=pid)


if __name__ == "__main__":
    serve()
