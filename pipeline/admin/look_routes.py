"""What a job's owner may see of it: taps, samples, names seen, recent attempts.

Payloads are shown: whoever may open the socket may read them.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.admin.routes import Route
from pipeline.deliver.lanes.onlookers import Kept
from pipeline.job.assembly import Job
from pipeline.job.tap.answers import checked_statuses
from pipeline.job.tap.samples import MOST
from pipeline.job.tap.stream import TapStream
from pipeline.job.tap.wanted import (
    MOST_RATE,
    USUAL,
    Payload,
    Wanted,
    checked_outcomes,
    checked_stages,
)
from pipeline.match.condition_text import parse_condition
from pipeline.match.conditions.nodes import Condition
from pipeline.model.errors import UsageError
from pipeline.model.json import Value, as_utf8
from pipeline.model.times import format_iso
from pipeline.model.words import no_webhook
from pipeline.outbox.reading.dead_letter_json import request_json


def look_routes(job: Job, process: int) -> list[Route]:
    """Return the routes that show one process of a job."""
    lookout, versions = job.lookout, job.versions

    def where_of(text: str | None) -> Condition | None:
        if text is None:
            return None
        latest = versions.latest
        return parse_condition(text, latest.labels)

    def tap(
        stages: Sequence[str] = USUAL,
        webhooks: Sequence[str] = (),
        events: Sequence[str] = (),
        user: str | None = None,
        message: str | None = None,
        statuses: Sequence[str] = (),
        outcomes: Sequence[str] = (),
        where: str | None = None,
        why: bool = False,
        payload: Payload = "short",
        rate: int = 100,
    ) -> TapStream:
        if not 1 <= rate <= MOST_RATE:
            raise UsageError(f"--rate is 1 to {MOST_RATE:,} lines a second")
        wanted = Wanted(
            checked_stages(stages), tuple(webhooks), tuple(events), user, message, checked_statuses(statuses),
            checked_outcomes(outcomes), where_of(where), why, payload, rate,
        )  # fmt: skip
        return TapStream(lookout.taps, wanted, versions, process)

    def samples(limit: int = MOST, event: str | None = None) -> Value:
        return lookout.samples.to_json(limit, event)

    def catalog() -> Value:
        return lookout.samples.seen(job.event_names.all())

    def attempts(webhook: str | None = None, limit: int = 1000) -> Value:
        if webhook is not None and webhook not in versions.specs:
            # It may be forgotten here but known to another process, which owes something of it.
            return {"problem": no_webhook(webhook, versions.specs)}
        return [_attempt(one) for one in lookout.attempts.of(webhook)[:limit]]

    return [
        Route("tap", tap, streams=True),
        Route("samples", samples),
        Route("catalog", catalog),
        Route("attempts", attempts),
    ]


def _attempt(kept: Kept) -> dict[str, Value]:
    request = kept.request
    return {
        "at": format_iso(kept.at_ms),
        "webhook": request.webhook_id,
        "webhook_id": request.message_id,
        "user": as_utf8(request.user[2:]) or None,
        "attempt": kept.attempt,
        "outcome": kept.outcome.name.lower(),
        "status": kept.status or None,
        "reason": kept.reason or None,
        "due_at": format_iso(kept.due_ms) if kept.due_ms else None,
        "probe_at": format_iso(kept.probe_ms) if kept.probe_ms else None,
        "ms": None if kept.took_secs is None else round(kept.took_secs * 1000, 1),
        "response": kept.excerpt or None,
        "request": request_json(request, None if kept.has_body else "(too large to be kept)"),
    }
