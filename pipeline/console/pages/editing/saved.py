"""What happens to a file after it is saved: the job accepts it, rejects it, or is not running."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.admin.socket_client import ask
from pipeline.console.context import RequestContext
from pipeline.model.errors import HooklineError
from pipeline.model.json import Value
from pipeline.operate.files.edits import Saved

WAIT_SECS: Final = 2.5
"""How long the page waits for the job, which looks at its files every second."""
LOOK_SECS: Final = 0.1


@dataclass(slots=True, frozen=True)
class Save:
    """A file that was saved, and which configs the processes of the job ran before."""

    saved: Saved
    versions: tuple[str, ...]
    at: float


@dataclass(slots=True, frozen=True)
class Outcome:
    """What the job made of it."""

    kind: Literal["running", "stopped", "refused", "waiting", "same"]
    at: str = ""
    """UTC, ``11:35:02``."""


def begin(context: RequestContext, saved: Saved, job: list[Value]) -> None:
    """Keep what was saved for the page that follows."""
    if context.session is not None:
        context.session.saved = Save(saved, _versions(job), time.time())


def last(context: RequestContext) -> Save | None:
    """Return what this person has saved last."""
    found = None if context.session is None else context.session.saved
    return found if isinstance(found, Save) else None


async def outcome(context: RequestContext, save: Save) -> Outcome:
    """Return what the job makes of it; waits for it a moment."""
    if not save.saved.written:
        return Outcome("same")
    ends = time.monotonic() + WAIT_SECS
    while True:
        try:
            job = await asyncio.to_thread(ask, context.console.state, "status")
        except HooklineError:
            return Outcome("stopped")
        if all(one["config"]["version"] not in save.versions for one in job):
            return Outcome("running", time.strftime("%H:%M:%S", time.gmtime()))
        if any(one["config"]["problems"] for one in job):
            return Outcome("refused")
        if time.monotonic() > ends:
            return Outcome("waiting")
        await asyncio.sleep(LOOK_SECS)


def _versions(job: list[Value]) -> tuple[str, ...]:
    return tuple(str(one["config"]["version"]) for one in job)
