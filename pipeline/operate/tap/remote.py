"""The tap of a job on another machine, through its console: like `follow`, with a URL instead of a folder."""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections.abc import Iterator
from typing import Final

from pipeline.model.errors import HooklineError
from pipeline.model.json import Value
from pipeline.operate.running.remote import NotReached, RemoteConsole
from pipeline.operate.tap.filters import Filters
from pipeline.operate.tap.follow import WAIT_SECS, Line, Notice, left_out

PATH: Final = "/api/v1/tap"
AGAIN_SECS: Final = 1.0
"""Pause before it asks a console again that has gone away."""
MOST_WAITING: Final = 1_000


class RemoteTap:
    """The tap of a job behind a console. Iterating yields lines, notices, and None when nothing came.

    reconnect: whether to wait when the console or the job ends. Raises HooklineError where the console
    refuses, NotReached where there is no console at the beginning.
    """

    def __init__(self, console: RemoteConsole, filters: Filters, *, reconnect: bool = True) -> None:
        self._console = console
        self._filters = filters
        self._reconnect = reconnect
        self._came: queue.Queue[Line | HooklineError | None] = queue.Queue(MOST_WAITING)
        self._left = 0
        self._passed = 0

    def __iter__(self) -> Iterator[Line | Notice | None]:
        """Yield what the console sends until it ends, unless reconnecting, or the caller stops."""
        begun = False
        while True:
            threading.Thread(target=self._read, name="tap-afar", daemon=True).start()
            self._left = self._passed = 0
            while (one := self._next()) is not None:
                if isinstance(one, HooklineError):
                    if begun and self._reconnect and isinstance(one, NotReached):
                        break
                    raise one
                begun = begun or bool(one)
                yield from self._told(one)
            if not self._reconnect:
                return
            if one is None:
                yield Notice("the console has ended; waiting for it")
            time.sleep(AGAIN_SECS)
            yield None

    def _next(self) -> Line | HooklineError | None:
        """Return what came: {} where nothing came for a moment, None at the end."""
        try:
            return self._came.get(timeout=WAIT_SECS)
        except queue.Empty:
            return {}

    def _told(self, line: Line) -> Iterator[Line | Notice | None]:
        if not line:
            yield None
        elif "tap" not in line:
            yield line
        elif "notice" in line["tap"]:
            yield Notice(str(line["tap"]["notice"]))
        else:
            counts: dict[str, Value] = line["tap"]
            left, passed = counts["not_shown"] - self._left, counts["not_looked_at"] - self._passed
            self._left, self._passed = counts["not_shown"], counts["not_looked_at"]
            if left or passed:
                yield Notice(left_out(left, passed, self._filters.rate), is_count=True)

    def _read(self) -> None:
        """Run in a thread: pass on what the console sends, as it comes."""
        try:
            for line in self._console.lines(PATH, self._filters.query()):
                self._came.put(line)
            self._came.put(None)
        except HooklineError as error:
            self._came.put(error)
        except (OSError, ValueError, http.client.HTTPException):
            self._came.put(None)  # it broke off
