"""Which file of a config is being processed: for error messages about limits, and to let others run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Listener: TypeAlias = Callable[[str], None]
"""Called with the name of each file that is about to be processed."""


class _Told(threading.local):
    """The listeners of this thread."""

    listener: Listener | None = None


_told = _Told()


def begins(file: str) -> None:
    """Announce that parsing, checking or compiling of a file begins."""
    if _told.listener is not None:
        _told.listener(file)


@contextmanager
def telling(listener: Listener) -> Iterator[None]:
    """Inside the block, tell a function in this thread which file is being processed."""
    before, _told.listener = _told.listener, listener
    try:
        yield
    finally:
        _told.listener = before
