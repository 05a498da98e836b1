"""Which clause of each webhook holds for one event, with the value it saw, and the rendered request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.compile.snapshot import Snapshot
from pipeline.job.story import Moment
from pipeline.job.trials.preview import Preview
from pipeline.job.trials.rehearse import Rehearsal
from pipeline.join.known import Beneath
from pipeline.match.advice import Told
from pipeline.match.verdicts import Clause, explain_trigger
from pipeline.model.json import Value
from pipeline.operate.trials.absent import absent
from pipeline.operate.trials.given import Given


@dataclass(slots=True, frozen=True)
class Explained:
    """One webhook's verdict on one event."""

    webhook: str
    event: str
    verdict: str
    """fires, is held back, cannot be rendered, or why it does not fire."""
    clauses: list[Clause]
    request: Preview | None
    """None where its trigger does not hold."""
    moment: Moment
    """The event and the user that were seen."""
    absent: list[str]
    """What the request asks for, and is missing under this name, each in a sentence."""

    def to_json(self) -> dict[str, Value]:
        """Return the verdict, every clause with the value it saw, and the request."""
        return {
            "webhook": self.webhook,
            "event": self.event,
            "fires": self.request is not None and bool(self.request.method),
            "verdict": self.verdict,
            "clauses": [Told.of(clause).to_json() for clause in self.clauses],
            "request": None if self.request is None else self.request.to_json(),
            "absent": self.absent,
        }


def explain(
    snapshot: Snapshot, given: Given, webhook_id: str | None = None, known: Beneath | None = None
) -> Iterator[Explained]:
    """Yield the verdict of every webhook, or of the one named, on each given event.

    known: what is known of users; None: only what is given. Raises UsageError for an unknown webhook.
    """
    webhooks = snapshot.webhooks if webhook_id is None else (snapshot.named(webhook_id),)
    rehearsal = Rehearsal(snapshot, known=known)
    if given.known is not None:
        rehearsal.know(given.known)
    for record in given.before:
        rehearsal.rehearse(record)
    for record in given.records:
        for event, user, matches, unusable in rehearsal.moments(record):
            fired = {match.webhook.id: Preview.of(match) for match in matches}
            for webhook in webhooks:
                clauses = explain_trigger(webhook.trigger, event, user)
                request = fired.get(webhook.id)
                reason = unusable if webhook.trigger.excludes and clauses[0].holds else None
                verdict = _verdict(webhook.enabled, clauses, request, reason)
                missing = [] if request is None else absent(webhook.data.get("request"), event, user)
                yield Explained(webhook.id, event.name, verdict, clauses, request, (event, user), missing)


def _verdict(enabled: bool, clauses: list[Clause], request: Preview | None, unusable: str | None) -> str:
    if request is not None:
        if request.suppressed:
            return "matches, but `limit` or `dedupe` holds it back"
        return "fires" if request.dead_letter is None else "matches, but cannot be rendered"
    if not enabled:
        return "does not fire: it is disabled"
    if unusable is not None:
        return f"does not fire: the record is a dead letter ({unusable})"
    holds = all(clause.holds for clause in clauses if clause.depth == 0)
    return "does not fire yet: `repeat` waits for more" if holds else "does not fire"
