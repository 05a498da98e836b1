"""Standard input, output and error: opened where the parent closed them, and errors that name them."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from typing import Any

from pipeline.model.printable import escaped


def open_standard() -> None:
    """Open /dev/null in place of each standard stream that is closed.

    Otherwise the next file opened would get its number, and a library that writes to standard error would
    write into that file, a store for example.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # open() takes the lowest free number: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process


def own_output() -> None:
    """Make a failed print raise Fatal whoever prints, since its OSError names no file.

    What the output's encoding lacks (box lines in Latin-1, the odd bytes of a file's name in any) is printed
    escaped, as JSON does it: what is JSON stays JSON.
    Raises nothing itself. A reader that is gone still gives BrokenPipeError.
    """
    given = sys.stdout
    if isinstance(given, io.TextIOWrapper) and given is sys.__stdout__:
        given.flush()
        codecs.register_error("hookline.escaped", _escaped)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Output(given.fileno(), "wb", closefd=False)), given.encoding,
            "hookline.escaped", line_buffering=given.line_buffering or given.write_through,
        )  # fmt: skip


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return escaped(error.object[error.start : error.end]), error.end


class _Output(io.FileIO):
    """A raw writer to standard output."""

    def write(self, data: Any, /) -> int:
        """Write as much as fits; wait where others have made the output non-blocking."""
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
