"""System calls about the current thread that Python lacks: timer slack, and whether Python knows it."""

from __future__ import annotations

import ctypes
import sys
import threading

PR_SET_TIMERSLACK = 29
USUAL_SECS = 0.000_05
"""Linux's default timer slack for ordinary threads."""


def allow_late(secs: float = USUAL_SECS) -> None:
    """Set the calling thread's timer slack: its waits may time out this much later.

    Waits then end together and cost less; an event still ends a wait at once. Threads it starts inherit the
    slack. Does nothing on other systems than Linux.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(int(secs * 1e9)), 0, 0, 0)


def stay_known() -> None:
    """Register the calling thread with Python until it ends, where Python did not start it.

    Otherwise every call into Python creates a new thread state, maps its memory, and destroys both: some 15
    us, of which Bytewax needs five for a chunk.
    """
    if threading.current_thread() is not threading.main_thread():
        ctypes.pythonapi.PyGILState_Ensure()
