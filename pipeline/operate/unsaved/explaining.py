"""What every webhook of a config makes of one record."""

from __future__ import annotations

import orjson

from pipeline.compile.snapshot import Snapshot
from pipeline.join.known import Beneath
from pipeline.model.errors import GivenError
from pipeline.model.json import Value
from pipeline.model.records import MISSING
from pipeline.operate.trials.explain import Explained, explain_under
from pipeline.operate.trials.given import Given, Text, understand


def explain(snapshot: Snapshot, record: str, user: str | None, known: Beneath | None) -> dict[str, Value]:
    """Return what every webhook makes of a record, as fields of `Explanation`."""
    given = _given(snapshot, record, user, stored=user is None and known is not None)
    if isinstance(given, str):
        return {"problem": given}
    found = [
        {
            "webhook": one.webhook,
            "event": one.event,
            "fires": one.request is not None and bool(one.request.method),
            "verdict": one.verdict,
            "clause": _first_wrong(one),
        }
        for one in explain_under(snapshot, given, None, known if given.joins_now else None)
    ]
    return {"verdicts": sorted(found, key=lambda one: not one["fires"])}


def _first_wrong(one: Explained) -> str:
    """Return the first clause that does not hold, with what it saw; of a group its first such part."""
    wrong = [clause for clause in one.clauses if not clause.holds]
    clause = next((clause for clause in wrong if clause.path is not None), wrong[0] if wrong else None)
    if clause is None:
        return ""
    if clause.path is None:
        return clause.text
    seen = "nothing" if clause.seen is MISSING else orjson.dumps(clause.seen, default=str).decode()[:200]
    return f"{clause.text}: saw {seen}"


def _given(snapshot: Snapshot, record: str, user: str | None, *, stored: bool) -> Given | str:
    """Return the record and the user, or why they cannot be used."""
    try:
        given = understand(
            Text("event", record.encode("utf-8", "surrogatepass")),
            None if user is None else Text("user", user.encode("utf-8", "surrogatepass")),
            snapshot.formats.all(),
        )
    except GivenError as error:
        return str(error)
    return Given(given.name, given.records, None, joins_now=True) if stored else given
