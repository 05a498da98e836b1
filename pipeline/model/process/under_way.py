"""Which file of a config is being processed: for error messages about limits, and to let others run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Listener: TypeAlias = Callable[[str], None]
"""Called with the name of a file whose turn begins."""


class _Told(threading.local):
    """Who listens in this thread."""

    listener: Listener | None = None


_told = _Told()


def begins(file: str) -> None:
    """Say that the work on a file begins: its parsing, its checking, its compiling."""
    if _told.listener is not None:
        _told.listener(file)


@contextmanager
def telling(listener: Listener) -> Iterator[None]:
    """Let a function hear, in this thread, which file's turn it is."""
    before, _told.listener = _told.listener, listener
    try:
        yield
    finally:
        _told.listener = before
