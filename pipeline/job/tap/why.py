"""Why something did not fire: the first clause that does not hold, with the value it saw."""

from __future__ import annotations

from pipeline.compile.snapshot import Snapshot
from pipeline.compile.webhook import Webhook
from pipeline.match.advice import Told
from pipeline.match.verdicts import Clause, explain, explain_trigger
from pipeline.model.json import Value
from pipeline.model.records import Event, User
from pipeline.model.words import did_you_mean

WAITS = "`repeat` waits for more"
"""Takes the place of a clause where all of them hold."""
MOST = 8
"""Clauses shown; of a group also those inside it."""
WEBHOOKS = 3
"""Webhooks for which the reason is given when all of them skip an event."""


def why_unmatched(webhook: Webhook, event: Event, user: User | None) -> list[dict[str, Value]]:
    """Return the clause that keeps a webhook from firing; user: None where only the event was evaluated."""
    if user is not None:
        found = _first(explain_trigger(webhook.trigger, event, user))
        return found or [{"clause": WAITS, "path": None, "holds": False, "depth": 0}]
    nobody = User(event.user_id, event.anonymous_id, event.user_id is not None)
    nodes = [node for node in webhook.trigger.nodes if not node.reads_user]
    return _first(explain(nodes, event, nobody))


def why_skipped(
    event: Event, snapshot: Snapshot, webhooks: list[Webhook], *, asked: bool
) -> list[dict[str, Value]]:
    """Return why none of these webhooks wants an event: which clause of which, or that none names it.

    asked: whether these were asked for, as opposed to all there are.
    """
    named = {snapshot.webhooks[index].id for index in snapshot.triggers.named(event.name, event.kind)}
    told = [one for one in webhooks if one.id in named] or (webhooks if asked else [])
    clauses: list[dict[str, Value]] = []
    for webhook in told[:WEBHOOKS]:
        nobody = User(event.user_id, event.anonymous_id, event.user_id is not None)
        whole = explain_trigger(webhook.trigger, event, nobody)
        failed = _first(whole[:1]) or why_unmatched(webhook, event, None)
        clauses += [{"webhook": webhook.id, **one} for one in failed]
    if clauses:
        return clauses
    names = {name for one in snapshot.webhooks for way in one.trigger.events for name in way.names or ()}
    meant = did_you_mean(event.name, names)
    hint = f"; one waits for `{meant}`" if meant else ""
    text = f"no webhook's `events` names it{hint}"
    return [{"clause": text, "path": None, "holds": False, "depth": 0}]


def _first(clauses: list[Clause]) -> list[dict[str, Value]]:
    """Return the first clause that does not hold, and what is inside it."""
    at = next((at for at, one in enumerate(clauses) if one.depth == 0 and not one.holds), None)
    if at is None:
        return []
    inside = at + 1
    while inside < len(clauses) and clauses[inside].depth > 0:
        inside += 1
    return [Told.of(one).to_json() for one in clauses[at : min(inside, at + MOST)]]
