"""Clean stop: the first SIGTERM or SIGINT is kept until it can be handled, the second ends the process.

It may come while a verb is still starting, or waits for something: whoever waits asks `requested`.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
HEAR_SECS = 0.5
"""The longest sleep of who waits for a signal: the system may give it to a thread that does not sleep there,
and nobody would hear of it before that sleep ends."""

_requested: list[int] = []


def listen() -> None:
    """Keep SIGTERM and SIGINT from now on; a second one ends the process at once."""
    for number in SIGNALS:
        signal.signal(number, _keep)
    _unblock()


@contextmanager
def handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let a function handle SIGTERM and SIGINT; the old handlers are back afterwards."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    _unblock()
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def stoppable(on_stop: Callable[[int], None] = lambda number: None) -> Iterator[None]:
    """Do something that ends when `requested` says so; the old handlers are back afterwards.

    on_stop: called in the signal's handler, with its number. A second signal ends the process at once, as a
    kill would. Another thread than the main one hears no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        _keep(number, frame)
        on_stop(number)

    try:
        with handled_by(stop):
            yield
    finally:
        forget()


def block(*, stopping: bool) -> None:
    """Keep back SIGTERM and SIGINT for the program that this one becomes: they reach it when it listens.

    stopping: a stop was asked for already; it must hear that, too.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    if stopping or _requested:
        # To this thread: others do not block it, and theirs would be lost.
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)


@contextmanager
def kept_back() -> Iterator[None]:
    """Start a program that listens: what a terminal sends both of us reaches it no sooner than it does.

    Else a Ctrl-C among the imports of an interpreter ends it with a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def requested() -> bool:
    """Return whether a stop was asked for."""
    return bool(_requested)


def forget() -> None:
    """What was asked to stop has ended."""
    _requested.clear()


def _keep(number: int, _frame: FrameType | None) -> None:
    if _requested:
        os._exit(128 + number)
    _requested.append(number)
