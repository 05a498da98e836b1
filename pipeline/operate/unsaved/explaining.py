"""What every webhook of a config does with one record."""

from __future__ import annotations

from itertools import dropwhile, takewhile

import orjson

from pipeline.compile.snapshot import Snapshot
from pipeline.join.known import Beneath
from pipeline.model.errors import GivenError
from pipeline.model.records import MISSING
from pipeline.operate.trials.explain import Explained
from pipeline.operate.trials.explain import explain as explain_each
from pipeline.operate.unsaved.results import Explanation, Verdict
from pipeline.operate.unsaved.trying import given_of


def explain(snapshot: Snapshot, record: str, user: str | None, known: Beneath | None) -> Explanation:
    """Return what every webhook makes of a record."""
    try:
        given = given_of(snapshot, record, user, known)
    except GivenError as error:
        return Explanation(error.reason)
    found = [
        Verdict(
            one.webhook,
            one.event,
            one.request is not None and bool(one.request.method),
            one.verdict,
            _first_wrong(one),
        )
        for one in explain_each(snapshot, given, None, known if given.joins_now else None)
    ]
    return Explanation(None, tuple(sorted(found, key=lambda one: not one.fires)))


def _first_wrong(one: Explained) -> str:
    """Return the first clause that does not hold, with the value it saw; of a group its first such part."""
    rest = dropwhile(lambda clause: clause.depth > 0 or clause.holds, one.clauses)
    group = next(rest, None)
    if group is None:
        return ""
    inside = takewhile(lambda clause: clause.depth > 0, rest)
    clause = next((part for part in (group, *inside) if part.path is not None and not part.holds), group)
    if clause.path is None:
        return clause.text
    seen = "nothing" if clause.seen is MISSING else orjson.dumps(clause.seen, default=str).decode()[:200]
    return f"{clause.text}: saw {seen}"
