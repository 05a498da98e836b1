"""The last line of a terminal: a status that steps aside when something is logged."""

from __future__ import annotations

import os
import sys
import threading

_lock = threading.RLock()
_status = ""


def show(text: str) -> None:
    """Put a status on the terminal's last line, cut to its width; "" removes it."""
    global _status
    width = _width()
    with _lock:
        _status = text[: width - 1]
        sys.stderr.write(f"\r\x1b[2K{_status}")
        sys.stderr.flush()


def write(line: str) -> None:
    """Write a whole line to stderr, above the status if there is one, of this process or of its parent."""
    with _lock:
        if _status:
            sys.stderr.write(f"\r\x1b[2K{line}\n{_status}")
        else:
            sys.stderr.write(f"\r\x1b[2K{line}\n" if sys.stderr.isatty() else f"{line}\n")
        sys.stderr.flush()


def _width() -> int:
    """Return the columns of the terminal that stderr is; COLUMNS goes first, as everywhere."""
    named = os.environ.get("COLUMNS", "")
    if named.isdigit() and int(named):
        return int(named)
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
