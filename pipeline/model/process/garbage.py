"""Tunes the garbage collector: hardly any collections during a start, frequent ones afterwards."""

from __future__ import annotations

import gc

STARTING = 600_000
"""Objects between two young collections. Imports create some 100,000 objects that stay, 2,000 webhooks
400,000; at the default of 700 the collector would walk them in vain, for a tenth of a start's time. A job
sets its own (runtime/process.py).
"""
SETTLED = 5_000


def starting() -> None:
    """Collect rarely while modules are imported and objects are set up: nearly all of them stay."""
    gc.set_threshold(STARTING, 20, 50)


def settled() -> None:
    """Switch to long life: freeze what exists, and collect often from now on.

    Otherwise each edit of a config would leave garbage in memory for hours. Does nothing in a process that
    did not begin with `starting`: its collector is not ours to tune.
    """
    if gc.get_threshold()[0] == STARTING:
        gc.collect()
        gc.freeze()
        gc.set_threshold(SETTLED, 5, 5)


def ending() -> None:
    """Exit without a last collection: the system frees the memory at once.

    Otherwise the interpreter walks and dismantles everything; for a check of 2,000 webhooks that is a seventh
    of the time.
    """
    gc.freeze()
