"""What `hookline up` prints of its members: a status line each, and their output with a name prefix."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable

from pipeline.model.printable import one_line
from pipeline.runtime.processes.group import Hear
from pipeline.telemetry import log, screen

LOG_SECS = 10.0
_log = log.get("group")


class Board:
    """The members' status lines, in the order of their names in `order`."""

    def __init__(self, names: Iterable[str]) -> None:
        self._texts = dict.fromkeys(names, "")
        self._width = max(map(len, self._texts))
        self._terminal = screen.is_live(sys.stderr)
        self._lock = threading.Lock()
        self._logged: dict[str, tuple[float, dict[str, int]]] = {}

    def line(self, name: str) -> Callable[[str], None]:
        """Return a function that shows a member's status; "" removes it."""

        def show(text: str) -> None:
            with self._lock:
                self._texts[name] = text
                if self._terminal:
                    rows = self._texts.items()
                    screen.show("\n".join(f"{who:<{self._width}}  {said}" for who, said in rows if said))

        return show

    def log(self, name: str, facts: dict[str, int]) -> None:
        """Log a member's status occasionally, if it has changed and no terminal shows it."""
        at, before = self._logged.get(name, (0.0, {}))
        now = time.monotonic()
        if not self._terminal and facts != before and any(facts.values()) and now - at >= LOG_SECS:
            self._logged[name] = (now, facts)
            _log.info("progress", member=name, **facts)

    def talk(self, name: str) -> Hear:
        """Return what prints a member's lines, with its name in front, or as a field if they are JSON."""

        def hear(line: bytes) -> None:
            text = line.decode("utf-8", "backslashreplace").rpartition(screen.CLEAR)[2]
            if text.startswith("{") and text.endswith("}"):
                screen.write(f'{{"member":"{name}",{text[1:]}')
            elif text:
                screen.write(f"{name:<{self._width}} | {one_line(text)}")

        return hear
