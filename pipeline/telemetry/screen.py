"""The last lines of a terminal: a status that makes way for log lines."""

from __future__ import annotations

import os
import sys
import threading
from typing import TextIO

CLEAR = "\r\x1b[J"
"""Begins what is printed on a terminal: a status, also one of another program that shares it, makes way."""
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


def is_in_front(stream: TextIO) -> bool:
    """Return whether its terminal is ours for now: what was started with `&` shares it with a prompt."""
    try:
        owner = os.tcgetpgrp(stream.fileno())
    except (OSError, ValueError):  # not a terminal, or not the one that controls us
        return True
    return owner in (0, os.getpgrp())  # 0: it belongs to another container


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
    """Put a status on the terminal's last lines, each cut to its width; "" removes it.

    In the background there is none: it would take the place of what somebody types.
    """
    columns = width(sys.stderr)
    with _lock:
        if not is_in_front(sys.stderr):
            _status.clear()
            return
        lines = [line[: columns - 1] for line in text.split("\n") if line]
        if lines == _status:
            return  # a recorded or remote terminal need not receive it again
        _status[:] = lines
        sys.stderr.write(CLEAR + _standing())
        sys.stderr.flush()


def write(line: str) -> None:
    """Write a whole line to stderr, above the status of this process or its parent, if there is one."""
    with _lock:
        clear = CLEAR if _status or is_live(sys.stderr) else ""
        sys.stderr.write(f"{clear}{line}\n{_standing()}")
        sys.stderr.flush()


def _standing() -> str:
    """Return what writes the status, and goes back to its first line: `CLEAR` clears all of it from there."""
    return "\n".join(_status) + (f"\r\x1b[{len(_status) - 1}A" if len(_status) > 1 else "")
