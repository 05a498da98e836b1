"""What stops a job: the first thing that a step raised."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pipeline.model.errors import HooklineError, StartAnew, Stopped, machine_fault
from pipeline.telemetry import log

_log = log.get("job")


class Failure:
    """Keeps and logs the first failure of this process: in a cluster Bytewax loses the exception itself.

    Every step works inside ``with failure:``, which notes an exception and lets it propagate. One shared
    object: each chunk enters it a dozen times.
    """

    __slots__ = ("_lock", "beneath", "first", "on_planned_end")

    def __init__(self) -> None:
        self.first: BaseException | None = None
        self.beneath: Callable[[BaseException | None], HooklineError | None] = lambda error: None
        """Returns the root cause of an error, or what has befallen the job without one; None: nothing."""
        self.on_planned_end: Callable[[], None] = lambda: None
        """Called when the error is one of ours, and logged."""
        self._lock = threading.Lock()

    def note(self, error: BaseException) -> None:
        """Keep the error, if it is the first, or its root cause."""
        error = self.beneath(error) or error
        with self._lock:
            if self.first is not None:
                return
            self.first = error
        known = machine_fault(error) or error
        if isinstance(known, (Stopped, StartAnew)):
            self.on_planned_end()
        elif isinstance(known, HooklineError):
            _log.error("stopping", reason=str(known))
            self.on_planned_end()
        else:
            _log.error("stopping on an unexpected error", reason=repr(error), exc_info=error)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        self.note(error)
        if isinstance(error, StopIteration):
            # Bytewax would take a stray StopIteration for the end of the input, and the job would end
            # silently.
            raise RuntimeError("a step raised StopIteration") from error
