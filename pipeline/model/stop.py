"""A stop that is asked for while a job is still starting: it is kept until the job can hear it."""

from __future__ import annotations

import os
import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)

_requested: list[int] = []


def listen() -> None:
    """Keep SIGTERM and SIGINT from now on; a second one ends the process at once."""
    for number in SIGNALS:
        signal.signal(number, _keep)


def requested() -> bool:
    """Return whether a stop was asked for since `listen`."""
    return bool(_requested)


def _keep(number: int, _frame: FrameType | None) -> None:
    if _requested:
        os._exit(128 + number)
    _requested.append(number)
