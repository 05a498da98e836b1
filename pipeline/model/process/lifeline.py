"""Ends a process when its parent ends, however that happens: a pipe whose other end closes.

The starter holds the writing end and never writes; the system closes it with the process, also on SIGKILL.
A death signal of the parent (`PR_SET_PDEATHSIG`) would be Linux's alone, belong to a thread, and come to
nothing in a process that does not hear signals at that moment.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import MutableMapping

VARIABLE = "_HOOKLINE_LIFELINE"
"""Names the reading end in the environment of the process that was started."""
END_SECS = 10.0
"""How long a clean stop may take before the process ends as by a kill: the drain time and some more."""

_let_go = threading.Event()


class Lifeline:
    """The starter's side."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the started process must inherit."""
        return (self._read,)

    def tie(self, environment: MutableMapping[str, str]) -> None:
        """Tie a process that is started with this environment to this one."""
        environment[VARIABLE] = str(self._read)

    def close(self) -> None:
        """Let go: who still lives ends."""
        os.close(self._read)
        os.close(self._write)


def hold() -> None:
    """End this process when its starter is gone: cleanly as on SIGTERM, or after `END_SECS` at once.

    Until then `is_let_go` tells: while Bytewax connects to processes that are gone, no signal is heard.

    Does nothing in a process that nobody tied.
    """
    descriptor = os.environ.pop(VARIABLE, None)
    if descriptor is not None:
        os.set_inheritable(int(descriptor), False)
        threading.Thread(target=_watch, args=(int(descriptor),), name="lifeline", daemon=True).start()


def is_let_go() -> bool:
    """Return whether the starter of this process is gone, so that it is about to end."""
    return _let_go.is_set()


def _watch(descriptor: int) -> None:
    os.read(descriptor, 1)
    _let_go.set()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(END_SECS)
    os._exit(128 + signal.SIGKILL)
