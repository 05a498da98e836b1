"""A stop that is asked for while a verb is still starting, or waits: it is kept until it can be heard."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)

_requested: list[int] = []


def listen() -> None:
    """Keep SIGTERM and SIGINT from now on; a second one ends the process at once."""
    for number in SIGNALS:
        signal.signal(number, _keep)


@contextmanager
def handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let a function handle SIGTERM and SIGINT; the old handlers are back afterwards."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def requested() -> bool:
    """Return whether a stop was asked for."""
    return bool(_requested)


def note(number: int) -> None:
    """Keep a stop that another handler heard, for what waits and cannot be told otherwise."""
    _requested.append(number)


def forget() -> None:
    """What was asked to stop has ended."""
    _requested.clear()


def _keep(number: int, _frame: FrameType | None) -> None:
    if _requested:
        os._exit(128 + number)
    _requested.append(number)
