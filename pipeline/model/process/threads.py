"""System calls about the current thread that Python lacks: timer slack, and whether Python knows it."""

from __future__ import annotations

import ctypes
import sys
import threading

PR_SET_TIMERSLACK = 29
USUAL_SECS = 0.000_05
"""Linux's own for what is no daemon of the system."""


def allow_late(secs: float = USUAL_SECS) -> None:
    """Let the calling thread's waits run out so much later; what ends a wait before that ends it at once.

    Many waits then end together, and cost less. Threads that it begins inherit it. Nothing changes where the
    system knows no such thing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(int(secs * 1e9)), 0, 0, 0)


def stay_known() -> None:
    """Let Python know the calling thread until it ends, where Python has not begun it.

    Otherwise each call that it makes into Python begins with a new state of a thread, its memory mapped, and
    ends with all of that taken down: some 15 us, of which Bytewax needs five for a chunk.
    """
    if threading.current_thread() is not threading.main_thread():
        ctypes.pythonapi.PyGILState_Ensure()
