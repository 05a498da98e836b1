"""Asking a running job for a change, or leaving the request for the next start of a stopped one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

AT_ONCE = 1000
"""Keys per request: each is done within one epoch."""


def ask_or_leave(
    state: Path, command: str, action: Literal["replay", "purge", "drop"], found: Sequence[tuple[Path, bytes]]
) -> int | None:
    """Return how many of the keys, each with its store's folder, the job changed; None: it is stopped."""
    from pipeline.admin.client import NotRunning, ask
    from pipeline.job.commands import leave

    done = 0
    try:
        for start in range(0, len(found), AT_ONCE):
            keys = [key.hex() for _, key in found[start : start + AT_ONCE]]
            done += sum(ask(state, command, keys=keys))
    except NotRunning:
        for store in dict.fromkeys(store for store, _ in found):
            leave(store, action, [key for owner, key in found if owner == store])
        return None
    return done
