"""Tunes the garbage collector: hardly any collections during a start, frequent ones afterwards."""

from __future__ import annotations

import gc

STARTING = 150_000
"""Objects between two young collections. What is imported stays, some 100,000 objects: the default of 700
walks it for nothing, for a tenth of the time that a start takes. A job sets its own (runtime/process.py)."""
SETTLED = 5_000


def starting() -> None:
    """Let what is imported and made be: nearly all of it stays."""
    gc.set_threshold(STARTING, 20, 50)


def settled() -> None:
    """Begin a long life: what is there stays and is walked through no more, what comes is looked at often.

    Else each edit of a config would leave its garbage in memory for hours. Does nothing in a process that
    did not begin with `starting`: it is somebody else's.
    """
    if gc.get_threshold()[0] == STARTING:
        gc.collect()
        gc.freeze()
        gc.set_threshold(SETTLED, 5, 5)


def ending() -> None:
    """Leave what is there to the system, which takes it back at once.

    Else the interpreter walks through it once more and takes it apart, piece by piece: of a check of 2,000
    webhooks that is a seventh of all its time.
    """
    gc.freeze()
