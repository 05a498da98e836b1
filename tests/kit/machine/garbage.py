"""What code leaves to the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Callable

TRIES = 3


def left_by(work: Callable[[], object]) -> int:
    """Return how many objects a piece of work leaves in cycles: the least of some tries, since threads of
    other tests may leave some meanwhile.
    """
    return min(_left_by(work) for _ in range(TRIES))


def _left_by(work: Callable[[], object]) -> int:
    gc.collect()
    gc.disable()
    try:
        work()
        return gc.collect()
    finally:
        gc.enable()
