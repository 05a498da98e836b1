"""Ends a process when its parent ends, however that happens: a pipe whose other end closes.

The parent holds the writing end and never writes; the system closes it when the parent ends, also on SIGKILL.
`PR_SET_PDEATHSIG` would work on Linux only, is tied to a thread, and is lost on a process that blocks the
signal at that moment.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import MutableMapping

VARIABLE = "_HOOKLINE_LIFELINE"
"""Environment variable that tells the child the number of the reading end."""
END_SECS = 10.0
"""How long a clean stop may take before the process kills itself: the drain time and some more."""

_let_go = threading.Event()


class Lifeline:
    """The parent's side."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors that the child must inherit."""
        return (self._read,)

    def tie(self, environment: MutableMapping[str, str]) -> None:
        """Tie a process started with this environment to this one."""
        environment[VARIABLE] = str(self._read)

    def hold(self) -> None:
        """Tie this process, which was forked from the one that made the pipe."""
        os.close(self._write)
        _hold(self._read)

    def close(self) -> None:
        """Close the pipe: processes that are still tied end."""
        os.close(self._read)
        os.close(self._write)


def hold() -> None:
    """End this process when its parent is gone: cleanly as on SIGTERM, or at once after `END_SECS`.

    `is_let_go` tells before that: while Bytewax connects to processes that are gone, it handles no signal.
    Does nothing in a process that is not tied.
    """
    descriptor = os.environ.pop(VARIABLE, None)
    if descriptor is not None:
        os.set_inheritable(int(descriptor), False)
        _hold(int(descriptor))


def is_let_go() -> bool:
    """Return whether the parent of this process is gone, so that it is about to end."""
    return _let_go.is_set()


def _hold(descriptor: int) -> None:
    threading.Thread(target=_watch, args=(descriptor,), name="lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    os.read(descriptor, 1)
    _let_go.set()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(END_SECS)
    os._exit(128 + signal.SIGKILL)
