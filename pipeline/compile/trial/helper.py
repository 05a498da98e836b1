"""The parent's side of a trial: runs work that may take minutes or gigabytes in child processes.

A child is started with a minimal environment, answers one request at a time within bounds, may ask back for
what it lacks, and ends with its parent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from typing import TypeAlias

from pipeline.compile.trial.desk import PLACE_BYTES
from pipeline.compile.trial.wire import comes, receive, send
from pipeline.model.errors import ConfigError, Stopped
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.process.bounds import Bounds, Exceeded, too_large, too_slow
from pipeline.model.process.lifeline import Lifeline
from pipeline.model.process.private import CORES

START_SECS = 30.0
"""How long it may take to start, on a busy machine."""
LOOK_SECS = 1.0
_KEPT = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "PYDANTIC_DISABLE_PLUGINS",
    *(CORES, "COVERAGE_PROCESS_CONFIG"),
)
"""Variables that a Python process needs to start; the rest of the environment may hold secrets."""

Replies: TypeAlias = Callable[[Value], Value]
"""Answers the child's questions."""


class NoTrial(Exception):
    """No trial process can be started; says why."""


class Gone(Exception):
    """The child ended by itself, or was killed."""

    def __init__(self, why: str, file: str) -> None:
        super().__init__(why)
        message = f"the process that tries configs ended while it worked on it ({why})"
        hint = "`hookline check` shows what is wrong; saving a file has it tried again"
        self.finding = Finding(file, 0, 0, "not-tried", message, hint)


class Helper:
    """One child. It starts up while its owner does something else."""

    def __init__(self, module: str, replies: Replies, start_secs: float = START_SECS) -> None:
        """module: what it runs; its `main` calls `keep_desk` (`desk.py`). Raises NoTrial."""
        self._replies = replies
        self._start_secs = start_secs
        self._ready = False
        own = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # It imports what we import, even if the working directory has a folder named `pipeline`.
        own["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        with ExitStack() as stack:
            try:
                self._lifeline = Lifeline()
                stack.callback(self._lifeline.close)
                self._place = os.memfd_create("place")
                """Where the child writes which file it is at, so that this is known even if it is killed."""
                stack.callback(os.close, self._place)
                self._lifeline.tie(own)
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", module, str(self._place)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                    start_new_session=True,  # a Ctrl-C concerns the job only
                    env=own,
                    pass_fds=(*self._lifeline.descriptors, self._place),
                )
            except OSError as error:
                raise NoTrial(str(error)) from None
            self._open = stack.pop_all()
        assert self._process.stdin is not None  # both are pipes
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()

    def is_gone(self) -> bool:
        """Return whether it has ended."""
        return self._process.poll() is not None

    def ask(self, request: dict[str, Value], bounds: Bounds) -> dict[str, Value]:
        """Return the answer. Raises Exceeded, Gone, and NoTrial where it did not even start."""
        if not self._ready:
            self._begin()
        os.pwrite(self._place, b"\0" * PLACE_BYTES, 0)
        try:
            send(self._to, {**request, "bounds": asdict(bounds)})
            while True:
                self._wait(bounds)
                answer: dict[str, Value] = receive(self._from)
                if "asks" in answer:
                    send(self._to, {"reply": self._replies(answer["asks"])})
                elif "exceeded" in answer:
                    raise too_large(answer["exceeded"], bounds)
                else:
                    return answer
        except (EOFError, OSError):
            raise self._end(bounds) from None

    def _begin(self) -> None:
        is_late = not comes(self._from, self._start_secs)
        with suppress(EOFError):
            self._ready = not is_late and "ready" in receive(self._from)
        if not self._ready:
            self.kill()
            code = self._process.wait()
            why = (
                f"has not begun within {self._start_secs:g} s"
                if is_late
                else f"ends with {code} before it begins"
            )
            raise NoTrial(f"it {why}")

    def _wait(self, bounds: Bounds) -> None:
        """Wait for an answer while there is progress."""
        at, since = self._at(), time.monotonic()
        while not comes(self._from, LOOK_SECS):
            now = self._at()
            if now != at:
                at, since = now, time.monotonic()
            elif time.monotonic() - since > bounds.still_secs:
                raise Exceeded(f"more than {bounds.still_secs:g} s", _file(at))

    def _end(self, bounds: Bounds) -> Exception:
        """Return what the end of the process means."""
        file = _file(self._at())
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            return too_slow(file, bounds)
        if code == -signal.SIGABRT:
            return too_large(file, bounds)  # how libraries end when memory is refused
        told = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Gone(told, file)

    def _at(self) -> bytes:
        return os.pread(self._place, PLACE_BYTES, 0).partition(b"\0")[0]

    def kill(self) -> None:
        """Kill it; whoever waits for its answer gets Gone."""
        self._process.kill()

    def close(self) -> None:
        """End it and release its resources."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._open.close()


class Standby:
    """A child that is started on first use, kept, and replaced when it is gone.

    For one thread at a time, except `stop`.
    """

    def __init__(self, module: str, replies: Replies) -> None:
        self._module = module
        self._replies = replies
        self._stopped = False
        self.helper: Helper | None = None

    def prepare(self) -> None:
        """Start the child if there is none; it starts up while the caller does something else.

        Raises NoTrial.
        """
        if self.helper is not None and self.helper.is_gone():
            self.close()
        if self.helper is None:
            self.helper = Helper(self._module, self._replies)

    def ask(self, request: dict[str, Value], bounds: Bounds, root: str) -> dict[str, Value]:
        """Return the answer; a child that ends on the way is replaced once.

        root: the config directory, for the findings of errors. Raises ConfigError (Exceeded), NoTrial, and
        Stopped after `stop`.
        """
        for last in (False, True):
            if self._stopped:
                break
            self.prepare()
            assert self.helper is not None  # `prepare` starts the next one
            try:
                answer = self.helper.ask(request, bounds)
            except Exceeded as error:
                self.close()
                error.root = root
                raise
            except NoTrial:
                self.close()
                if self._stopped:
                    break  # that is why it did not start
                raise
            except Gone as gone:
                self.close()
                if last and not self._stopped:
                    raise ConfigError([gone.finding], root=root) from None
                continue
            if "refused" in answer:
                raise ConfigError(answer["refused"])
            return answer
        raise Stopped("it was told to stop")

    def stop(self) -> None:
        """End the child for whoever waits for it in another thread; nothing is tried any more."""
        self._stopped = True
        helper = self.helper
        if helper is not None:
            helper.kill()

    def close(self) -> None:
        """End the child."""
        helper, self.helper = self.helper, None
        if helper is not None:
            helper.close()


def _file(place: bytes) -> str:
    return place.partition(b" ")[2].decode(errors="replace")
