"""How long a start waits for the job that still owns the state directory (DESIGN 6)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.model.errors import HooklineError, Stopped
from pipeline.model.json import Value
from pipeline.model.process.stop import requested
from pipeline.telemetry import log

WAIT_SECS = 30.0
"""Even a slow stop of a job takes no longer."""
ASK_SECS = 1.0
"""How often the other job is asked whether it stops; a new orphan has this long to notice."""
ANSWER_SECS = 2.0
"""One that is well answers sooner; one that hangs, or whose process is stopped, never does."""

_log = log.get("job")


class Patience:
    """Decides whether to keep waiting, asked repeatedly: not for a healthy job that is not stopping.

    clock: monotonic seconds. status: what each process of the other job reports; raises what
    `admin.socket_client.ask` does.
    """

    def __init__(
        self,
        state: Path,
        clock: Callable[[], float] = time.monotonic,
        status: Callable[[], list[Value]] | None = None,
    ) -> None:
        self._clock = clock
        self._status = status or (lambda: ask(state, "status", ANSWER_SECS))
        self._begun = self._asked = clock()
        self._said = False

    def __call__(self) -> bool:
        """Return whether to keep waiting. Raises Stopped where a stop was requested meanwhile."""
        if requested():
            raise Stopped("stopped while waiting for the state directory; nothing had begun")
        now = self._clock()
        if now - self._begun > WAIT_SECS:
            return False
        if now - self._asked < ASK_SECS:
            return True
        self._asked = now
        if self._stays():
            return False
        if not self._said:
            self._said = True
            _log.info("waiting for the job that ends on this state directory", wait_secs=WAIT_SECS)
        return True

    def _stays(self) -> bool:
        try:
            found = self._status()
            return bool(found) and not any(one["stopping"] or one["still_secs"] for one in found)
        except (NotRunning, HooklineError, OSError, KeyError):
            return False
