"""Bulk changes that run behind a page: a thousand rows per epoch, counted, stopped on request."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pipeline.model.errors import HooklineError, Refused
from pipeline.model.json import Value
from pipeline.operate.kept.chosen import Chosen
from pipeline.operate.running.asking import ask_or_leave

AT_A_TIME: Final = 4
REMEMBERED: Final = 50


@dataclass(slots=True)
class Work:
    """One bulk change. Written by its own thread, read by any."""

    id: str
    action: Literal["replay", "purge", "drop"]
    total: int
    stay: int
    """Selected rows to which it does not apply."""
    done: int = 0
    """Rows that were changed; those that had already gone do not count."""
    passed: int = 0
    """Rows that were requested so far."""
    at_next_start: bool = False
    """True: the job is stopped, and changes them when it starts."""
    error: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def state(self) -> str:
        """running, done, stopped, failed."""
        if not self._ended.is_set():
            return "running"
        if self.error:
            return "failed"
        return "stopped" if self._stop.is_set() and self.passed < self.total else "done"

    def stop(self) -> None:
        """Request no more rows; what is changed stays changed."""
        self._stop.set()

    def wait(self, secs: float) -> bool:
        """Wait for its end at most this long; return whether it has ended."""
        return self._ended.wait(secs)

    def to_json(self) -> dict[str, Value]:
        """Return its progress."""
        return {
            "id": self.id,
            "action": self.action,
            "state": self.state,
            "count": self.total,
            "done": self.done,
            "passed": self.passed,
            "stay": self.stay,
            "at_next_start": self.at_next_start,
            "error": self.error or None,
        }


class Works:
    """The bulk changes started by this process, the last ones remembered; thread-safe."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._works: OrderedDict[str, Work] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, chosen: Chosen) -> Work:
        """Start a bulk change. Raises Refused where too many are running."""
        work = Work(secrets.token_hex(6), chosen.action, len(chosen.rows), chosen.stay)
        with self._lock:
            if sum(one.state == "running" for one in self._works.values()) >= AT_A_TIME:
                raise Refused(f"{AT_A_TIME} changes are under way: wait for one of them, or stop it")
            self._works[work.id] = work
            for old in [one for one in self._works.values() if one.state != "running"][:-REMEMBERED]:
                del self._works[old.id]
        threading.Thread(target=self._go, args=(work, chosen), name="hookline-work", daemon=True).start()
        return work

    def find(self, id: str) -> Work:
        """Return one by its id. Raises Refused where there is none."""
        with self._lock:
            if id not in self._works:
                raise Refused("this change is not known: it began before the console's start, or long ago")
            return self._works[id]

    def running(self) -> list[Work]:
        """Return those still running."""
        with self._lock:
            return [one for one in self._works.values() if one.state == "running"]

    def _go(self, work: Work, chosen: Chosen) -> None:
        def told(passed: int, done: int) -> bool:
            work.passed, work.done = passed, done
            return not work._stop.is_set()

        try:
            changed = ask_or_leave(self._state, chosen.action, chosen.rows, told)
            work.done, work.at_next_start = changed.number, changed.at_next_start
        except HooklineError as error:
            work.error = str(error)
        except Exception as error:
            work.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            work._ended.set()
