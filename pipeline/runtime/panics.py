"""Suppresses Bytewax's panic message where the error was raised on purpose.

When a step raises, Bytewax ends with a Rust panic, which prints some lines about Bytewax's own sources (and,
with RUST_BACKTRACE, a stack of fifty frames). If the exception was ours, its text says everything. A real
panic has a text of its own and is shown.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.model.files.disk import append_all

_STDERR = 2
_PASSED_ON = re.compile(
    rb"(?m)(?:^\n)?^thread '[^'\n]*'(?: \(\d+\))? panicked at [^\n]*:\nBox<dyn Any>\n"
    rb"(?:stack backtrace:\n(?: +(?:\d+: |at )[^\n]*\n)*)?(?:note: [^\n]*\n)*"
)
"""A panic that only passes an exception on has no text of its own."""


def without_passed_on(said: bytes) -> bytes:
    """Return stderr output without panics that only pass an exception on."""
    return _PASSED_ON.sub(b"", said)


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Yield a function that starts holding back stderr, until the end of the block.

    The output is then written unchanged, except panics that say nothing. Call it once a planned error has
    been logged: what follows is little, and appears a moment later.
    """
    held: list[tuple[int, int]] = []

    def hold() -> None:
        if not held:
            sys.stderr.flush()
            before = os.dup(_STDERR)
            file = _open()
            os.dup2(file, _STDERR)
            held.append((before, file))

    try:
        yield hold
    finally:
        for before, file in held:
            sys.stderr.flush()
            os.dup2(before, _STDERR)
            os.close(before)
            with os.fdopen(file, "rb") as said:
                said.seek(0)
                rest = without_passed_on(said.read())
            append_all(_STDERR, rest)


def _open() -> int:
    """Return a file in memory: the disk may be what the error is about."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("stderr")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
