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
    """Return whether to use colours: not with NO_COLOR, yes with FORCE_COLOR, else on a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_live(stream)


def is_live(stream: TextIO) -> bool:
    """Return whether output there can be overwritten: on a terminal, but not a dumb one."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def named_columns() -> int:
    """Return the value of COLUMNS; 0 where it has none."""
    named = os.environ.get("COLUMNS", "")
    return int(named) if named.isdigit() else 0


def width(stream: TextIO) -> int:
    """Return the width of a stream's terminal; COLUMNS takes precedence, as everywhere."""
    if named := named_columns():
        return named
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):  # not a terminal, or not a file at all
        return 80


def show(text: str) -> None:
    """Put a status on the terminal's last lines, each cut to its width; "" removes it."""
    columns = width(sys.stderr)
    with _lock:
        cleared, lines = _cleared(), [line[: columns - 1] for line in text.split("\n") if line]
        if lines == _status:
            return  # a recorded or remote terminal need not receive it again
        _status[:] = lines
        sys.stderr.write(cleared + "\n".join(_status))
        sys.stderr.flush()


def write(line: str) -> None:
    """Write a whole line to stderr, above the status of this process or its parent, if there is one."""
    with _lock:
        if _status:
            sys.stderr.write(f"{_cleared()}{line}\n" + "\n".join(_status))
        else:
            sys.stderr.write(f"{_CLEAR}{line}\n" if is_live(sys.stderr) else f"{line}\n")
        sys.stderr.flush()


def _cleared() -> str:
    """Return what clears the status and leaves the cursor at its start."""
    return _CLEAR + _UP * (len(_status) - 1)
