"""Asks a running job for a change, or leaves the request for the next start of a stopped one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.job.left_requests import Action, leave
from pipeline.model.process.private import require_own

AT_ONCE = 1000
"""Keys per request: each request completes within one epoch."""
COMMANDS: dict[Action, str] = {"replay": "dlq-replay", "purge": "dlq-purge", "drop": "outbox-drop"}


@dataclass(slots=True, frozen=True)
class Changed:
    """How many of the selected rows were changed."""

    number: int
    at_next_start: bool = False
    """True: the job is stopped, and changes them when it starts."""
    stay: int = 0
    """Selected rows to which this does not apply."""
    unchanged: int = 0
    """Rows that the job left as they were: it can still not render them, or they had already gone."""


def ask_or_leave(
    state: Path,
    action: Action,
    found: Sequence[tuple[Path, bytes]],
    told: Callable[[int, int], bool] = lambda passed, done: True,
) -> Changed:
    """Have rows changed, each given by its store's folder and key; on disk when this returns.

    told: called after each request with the number of rows requested and changed so far; False ends it.
    """
    done = asked = 0
    try:
        for start in range(0, len(found), AT_ONCE):
            keys = [key.hex() for _, key in found[start : start + AT_ONCE]]
            done += sum(ask(state, COMMANDS[action], keys=keys))
            asked += len(keys)
            if not told(asked, done):
                break
    except NotRunning:
        require_own(state)
        # All or none: whoever sees the command fail (a full disk, Ctrl-C) does not have half of it happen.
        with ExitStack() as undo:
            for store in dict.fromkeys(store for store, _ in found):
                left = leave(store, action, [key for owner, key in found if owner == store])
                undo.callback(left.unlink, missing_ok=True)
            undo.pop_all()
        told(len(found), len(found))
        return Changed(len(found), at_next_start=True)
    return Changed(done, unchanged=asked - done)
