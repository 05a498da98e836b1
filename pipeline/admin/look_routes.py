"""What the owner of a job may see of it: taps, samples, names, the last attempts; and a test send.

Payloads are shown: whoever may open the socket may read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from pipeline.admin.routes import Route
from pipeline.compile.snapshot import Snapshot
from pipeline.decode.decode import decode
from pipeline.deliver.lanes.onlookers import Kept
from pipeline.job.assembly import Job
from pipeline.job.preview import Preview
from pipeline.job.send_once import match_for, send_once
from pipeline.job.settings import wall_clock
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
from pipeline.language.secrets import Secrets
from pipeline.match.conditions.nodes import Condition
from pipeline.match.written import condition_of
from pipeline.model.errors import UsageError
from pipeline.model.json import Value
from pipeline.model.records import Invalid, Origin, PropertyUpdate
from pipeline.model.times import format_iso
from pipeline.model.words import no_webhook
from pipeline.outbox.reading.dead_letter_json import request_json


def look_routes(job: Job, process: int) -> list[Route]:
    """Return what may be seen of one process of a job."""
    lookout, versions = job.lookout, job.versions

    def where_of(text: str | None) -> Condition | None:
        if text is None:
            return None
        latest = versions.latest
        return condition_of(text, latest.labels)

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
            raise UsageError(no_webhook(webhook, versions.specs))
        return [_attempt(one) for one in lookout.attempts.of(webhook)[:limit]]

    def send_test(webhook: str, record: Value, user: Value = None) -> Value:
        if process:
            return None  # one process of a job sends it
        return _sent(versions.latest, webhook, record, user)

    return [
        Route("send-test", send_test),
        Route("tap", tap, streams=True),
        Route("samples", samples),
        Route("catalog", catalog),
        Route("attempts", attempts),
    ]


def _sent(snapshot: Snapshot, webhook: str, record: Value, user: Value) -> dict[str, Value]:
    """Send a webhook's request for one record, in Hookline's own shape, and what is known of its user.

    With the job's secrets, to where the webhook's file says, whether its trigger holds or not.
    """
    now = wall_clock()
    origin = Origin("test", now)
    records = decode(orjson.dumps(record), format="native", origin=origin, received_at=now)
    broken = next((one for one in records if isinstance(one, Invalid)), None)
    if broken is not None:
        raise UsageError(f"the record cannot be used: {broken.reason}")
    known = None
    if user:
        first = records[0]
        who = {"user_id": first.user_id} if first.user_id else {"anonymous_id": first.anonymous_id}  # type: ignore[union-attr] # none is Invalid
        (known,) = decode(orjson.dumps({"type": "user", **who, "set": user}), format="native", origin=origin)
    found = match_for(snapshot, webhook, records, known if isinstance(known, PropertyUpdate) else None)
    if found is None:
        raise UsageError("there is no event in it, and no change of a property")
    match, holds = found
    shown = {"holds": holds, "request": Preview.of(match).to_json()}
    if match.request is None:
        return {**shown, "answer": None}
    return {**shown, "answer": send_once(snapshot, match, Secrets(base=Path(snapshot.text.root))).to_json()}


def _attempt(kept: Kept) -> dict[str, Value]:
    request = kept.request
    return {
        "at": format_iso(kept.at_ms),
        "webhook": request.webhook_id,
        "webhook_id": request.message_id,
        "user": request.user[2:].encode("utf-8", "backslashreplace").decode() or None,
        "attempt": kept.attempt,
        "outcome": kept.outcome.name.lower(),
        "status": kept.status or None,
        "reason": kept.reason or None,
        "due_at": format_iso(kept.due_ms) if kept.due_ms else None,
        "ms": None if kept.took_secs is None else round(kept.took_secs * 1000, 1),
        "response": kept.excerpt or None,
        "request": request_json(request, None if kept.has_body else "(too large to be kept)"),
    }
