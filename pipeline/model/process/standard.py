"""Standard input, output and error: opened where the parent closed them, and errors that name them."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any


def open_standard() -> None:
    """Have something in the place of each that is closed.

    Else what is opened next takes its number, and a library that writes to its standard error writes there:
    into a store, say.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is taken: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process


def own_output() -> None:
    """Have whatever cannot be printed raise Fatal, whoever prints it: an OSError of it names no file.

    Raises nothing of its own. A reader who is gone stays a BrokenPipeError.
    """
    given = sys.stdout
    if isinstance(given, io.TextIOWrapper) and given is sys.__stdout__:
        given.flush()
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Output(given.fileno(), "wb", closefd=False)), given.encoding, given.errors,
            line_buffering=given.line_buffering or given.write_through,
        )  # fmt: skip


class _Output(io.FileIO):
    """Takes bytes as the standard output does."""

    def write(self, data: Any, /) -> int:
        """Write what there is room for; one that others have made non-blocking is waited for."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            from pipeline.model.errors import Fatal

            raise Fatal(
                f"what is printed cannot be written to the standard output ({error.strerror}): make room "
                "where that goes, or send it elsewhere"
            ) from error
        return written
