"""What every webhook of a config does with one record."""

from __future__ import annotations

from pipeline.compile.snapshot import Snapshot
from pipeline.join.known import Beneath
from pipeline.match.advice import Told, culprit
from pipeline.model.errors import GivenError
from pipeline.operate.trials.explain import explain as explain_each
from pipeline.operate.unsaved.results import Explanation, WebhookVerdict
from pipeline.operate.unsaved.trying import given_of


def explain(snapshot: Snapshot, record: str, user: str | None, known: Beneath | None) -> Explanation:
    """Return what every webhook makes of a record."""
    try:
        given = given_of(snapshot, record, user, known)
    except GivenError as error:
        return Explanation(error.reason)
    found = [
        WebhookVerdict(
            one.webhook,
            one.event,
            one.request is not None and bool(one.request.method),
            one.verdict,
            culprit(Told.of(clause).to_json() for clause in one.clauses) or None,
        )
        for one in explain_each(snapshot, given, None, known if given.joins_now else None)
    ]
    return Explanation(None, tuple(sorted(found, key=lambda one: not one.fires)))
