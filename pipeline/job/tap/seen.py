"""What a step hands to a tap: references to its own data, turned into lines by another thread."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pipeline.compile.snapshot import Snapshot
from pipeline.compile.webhook import Webhook
from pipeline.decode.shape import Shape
from pipeline.deliver.lanes.onlookers import Trip
from pipeline.job.story import Candidates, Match
from pipeline.job.tap.wanted import Stage
from pipeline.model.records import Event, Invalid, Origin, User
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.handover import Request, Result
from pipeline.sources.chunk import Headers

Names = tuple[str, str | None, str | None]
"""An event's name, user id and anonymous id."""


class Raw(msgspec.Struct, gc=False):
    """A line as it was read."""

    line: bytes | None
    shape: Shape
    origin: Origin
    received_at: int | None
    headers: Headers | None
    key: bytes | None
    fault: str | None
    chosen: Mapping[int, Candidates]
    """Of its records that went on: who may want them, by position in the line."""
    snapshot: Snapshot


class Seen(msgspec.Struct, kw_only=True, gc=False):
    """One thing that happened. The data it refers to does not change any more."""

    stage: Stage
    at_ms: int
    raw: Raw | None = None
    invalid: Invalid | None = None
    webhook: Webhook | None = None
    event: Event | None = None
    user: User | None = None
    """With properties at that time; None where the user is not looked up yet."""
    match: Match | None = None
    request: Request | None = None
    letter: DeadLetter | None = None
    names: Names | None = None
    """Of the event, where the event itself is not available any more."""
    # --- of an attempt: its progress is changed by the next one
    attempt: int = 0
    status: int = 0
    outcome: str = ""
    reason: str = ""
    due_ms: int = 0
    probe_ms: int = 0
    took_secs: float | None = None
    excerpt: str = ""

    @property
    def size(self) -> int:
        """About how many bytes it keeps alive."""
        held = 500
        if self.raw is not None:
            held += len(self.raw.line or b"")
        if self.request is not None:
            held += len(self.request.body)
        if self.invalid is not None:
            held += len(self.invalid.raw)
        if self.letter is not None:
            held += len(self.letter.request.body)
        return held


def of_result(result: Result, trip: Trip, now_ms: int, names: Names | None) -> Seen:
    """Return an attempt's result as a tap sees it."""
    delivery, progress = result.delivery, result.delivery.progress
    return Seen(
        stage="sent", at_ms=now_ms, request=delivery.request, names=names, attempt=progress.attempt,
        status=progress.status, outcome=result.outcome.name.lower(), reason=result.reason,
        due_ms=progress.due_ms, probe_ms=trip.probe_ms, took_secs=trip.secs, excerpt=progress.excerpt,
    )  # fmt: skip


def names_of(event: Event) -> Names:
    """Return the remembered parts of an event."""
    return event.name, event.user_id, event.anonymous_id
