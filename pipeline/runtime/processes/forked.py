"""Members forked from their supervisor, which has imported what they need: a start each would import again.

Only a process of one thread may fork: another thread's locks would stay locked in the child for ever. So the
first launch of a job forks its members; a later one, beside threads, starts them as new processes.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol

from pipeline.model.process.lifeline import Lifeline
from pipeline.model.process.stop import kept_back, listen

_TASKS = Path("/proc/self/task")


class Member(Protocol):
    """A child process, as `subprocess.Popen` is one."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """The end of its output to read from."""

    @property
    def stderr(self) -> IO[bytes] | None:
        """The same of its talk; None where it writes to this process's own."""

    def wait(self) -> int:
        """Wait for its end; return its exit code, or the negative number of the signal that ended it."""

    def send_signal(self, number: int, /) -> None:
        """Signal it, unless it has ended."""


class Forked:
    """A child that was forked."""

    stderr = None

    def __init__(self, pid: int, stdout: IO[bytes]) -> None:
        self.pid, self.stdout = pid, stdout
        self._code: int | None = None
        self._lock = threading.Lock()

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        with self._lock:
            if self._code is not None:
                return self._code
        # Not reaped yet: until the lock is held its number is nobody else's, and signals reach no stranger.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            if self._code is None:
                self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return self._code

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        with self._lock:
            if self._code is None:
                os.kill(self.pid, number)


def can_fork() -> bool:
    """Return whether this process has one thread; False where the system does not tell."""
    try:
        return len(os.listdir(_TASKS)) == 1
    except OSError:
        return False


def fork(work: Callable[[], int], lifeline: Lifeline, earlier: Sequence[Member], *, reads: bool) -> Forked:
    """Start a member that does the work, in a session of its own, and exits with its code.

    earlier: members whose outputs are this process's to read. reads: it has this process's stdin.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    # A signal in this moment waits until the child has handlers of its own.
    with kept_back():
        pid = os.fork()
        if pid == 0:
            _become(work, lifeline, earlier, (reading, writing), reads=reads)
    os.close(writing)
    return Forked(pid, open(reading, "rb"))


def _become(
    work: Callable[[], int],
    lifeline: Lifeline,
    earlier: Sequence[Member],
    pipe: tuple[int, int],
    *,
    reads: bool,
) -> None:
    """Do the work and exit: the frames below this one are the supervisor's."""
    code = 1
    try:
        os.setsid()
        os.dup2(pipe[1], 1)
        for end in pipe:
            os.close(end)
        if not reads:
            none = os.open(os.devnull, os.O_RDONLY)
            os.dup2(none, 0)
            os.close(none)
        for member in earlier:
            if member.stdout is not None:
                member.stdout.close()
        listen()
        lifeline.hold()
        code = work()
        sys.stdout.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)
