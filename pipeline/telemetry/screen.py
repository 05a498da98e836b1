"""The last lines of a terminal: a status that makes way for log lines."""

from __future__ import annotations

import os
import sys
import threading
from typing import TextIO

_CLEAR = "\r\x1b[2K"
_UP = "\x1b[1A\x1b[2K"
_lock = threading.RLock()
_status: list[str] = []


def has_colours(stream: TextIO) -> bool:
    """Return whether colours may go there: NO_COLOR says no, FORCE_COLOR yes, else a terminal does."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_live(stream)


def is_live(stream: TextIO) -> bool:
    """Return whether what stands there can be written over: on a terminal, but no dumb one."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def named_columns() -> int:
    """Return what COLUMNS says; 0 where it says nothing."""
    named = os.environ.get("COLUMNS", "")
    return int(named) if named.isdigit() else 0


def width(stream: TextIO) -> int:
    """Return the columns of the terminal that a stream is; COLUMNS goes first, as everywhere."""
    if named := named_columns():
        return named
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):  # no terminal, or no file at all
        return 80


def show(text: str) -> None:
    """Put a status on the terminal's last lines, each cut to its width; "" removes it."""
    columns = width(sys.stderr)
    with _lock:
        cleared, lines = _cleared(), [line[: columns - 1] for line in text.split("\n") if line]
        if lines == _status:
            return  # a terminal that is recorded, or far away, need not hear of it
        _status[:] = lines
        sys.stderr.write(cleared + "\n".join(_status))
        sys.stderr.flush()


def write(line: str) -> None:
    """Write a whole line to stderr, above the status if there is one, of this process or of its parent."""
    with _lock:
        if _status:
            sys.stderr.write(f"{_cleared()}{line}\n" + "\n".join(_status))
        else:
            sys.stderr.write(f"{_CLEAR}{line}\n" if is_live(sys.stderr) else f"{line}\n")
        sys.stderr.flush()


def _cleared() -> str:
    """Return what clears the status, and leaves the cursor where it began."""
    return _CLEAR + _UP * (len(_status) - 1)
