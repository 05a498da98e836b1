"""Clean stop: the first SIGTERM or SIGINT is kept until it can be handled, the second ends the process.

A signal may arrive while a verb is still starting or waits for something; code that waits checks `requested`.
A terminal that is closed (SIGHUP) is a stop as well, unless `nohup` has said that it is none. Without a
terminal SIGHUP is somebody's `reload`, and means nothing here: edits of the config are noticed anyway.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

Handler: TypeAlias = Callable[[int, FrameType | None], None]

SIGNALS = (signal.SIGTERM, signal.SIGINT)
HEAR_SECS = 0.5
"""The longest sleep of a thread that must notice signals: the system may deliver one to another thread, and
then the sleep is not interrupted."""

_requested: list[int] = []


def listen() -> None:
    """Keep SIGTERM and SIGINT from now on; a second one ends the process at once."""
    for number, handler in _handlers(_keep).items():
        signal.signal(number, handler)
    _unblock()


@contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Let a function handle SIGTERM and SIGINT inside the block; then restore the old handlers."""
    before = {number: signal.signal(number, one) for number, one in _handlers(handler).items()}
    _unblock()
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def stoppable(on_stop: Callable[[int], None] = lambda number: None) -> Iterator[None]:
    """Run a block that ends when `requested` says so; then restore the old handlers.

    on_stop: called in the signal handler, with the signal's number. A second signal ends the process at once,
    like a kill. Outside the main thread there are no signals.
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
    """Block SIGTERM and SIGINT for the program that replaces this one: they reach it once it listens.

    stopping: a stop was already requested; the new program must see it too.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    if stopping or _requested:
        # To this thread: another one does not block it, and there it would be lost.
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)


@contextmanager
def kept_back() -> Iterator[None]:
    """Start a program that listens to signals, with signals blocked until it does.

    Otherwise a Ctrl-C during its imports would end it with a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _handlers(handler: Handler) -> dict[int, Handler | signal.Handlers]:
    handlers: dict[int, Handler | signal.Handlers] = dict.fromkeys(SIGNALS, handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = handler if _has_terminal() else signal.SIG_IGN
    return handlers


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def requested() -> bool:
    """Return whether a stop was requested."""
    return bool(_requested)


def forget() -> None:
    """Forget the request: what was to stop has ended."""
    _requested.clear()


def _keep(number: int, _frame: FrameType | None) -> None:
    if _requested and number != signal.SIGHUP:  # the shell and the system both send that one
        os._exit(128 + number)
    _requested.append(number)
