"""Tries one webhook, as it is written now, on records: the job's own story, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field

import orjson

from pipeline.compile.snapshot import Snapshot
from pipeline.compile.trial.desk import AskBack
from pipeline.compile.webhook import Webhook
from pipeline.decode.decode import decode
from pipeline.job.story import Match
from pipeline.job.trials.preview import Preview
from pipeline.job.trials.rehearse import Rehearsal
from pipeline.join.known import Beneath
from pipeline.match.advice import Told
from pipeline.model.errors import GivenError, RenderError
from pipeline.model.json import Value
from pipeline.model.records import Event, Invalid, Origin, PropertyUpdate, Record
from pipeline.operate.trials.explain import Explained, explain
from pipeline.operate.trials.given import Given, Text, understand
from pipeline.operate.unsaved.results import Checked, Differs, Fired, Previewed, ShownRequest, WouldFire
from pipeline.recording.native_lines import native_line
from pipeline.store.rows import Table

TOLD = 100
"""Samples listed by id."""


class AskedUsers:
    """What the job knows of users now, read row by row as needed."""

    def __init__(self, ask: AskBack) -> None:
        self._ask = ask
        self._rows: dict[tuple[Table, bytes], bytes | None] = {}
        self._merged: list[tuple[bytes, bytes]] | None = None

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the row; None where nothing is known."""
        if table not in (Table.USERS, Table.ALIASES, Table.PROFILES):
            return None  # rows that are not about users
        if (table, key) not in self._rows:
            row = self._ask({"row": [table.value, key.hex()]})
            self._rows[table, key] = None if row is None else row.encode("latin-1")
        return self._rows[table, key]

    def merged(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of merged ids."""
        if self._merged is None:
            pairs = self._ask({"merged": True})
            self._merged = [(bytes.fromhex(key), value.encode("latin-1")) for key, value in pairs]
        return iter(self._merged)


def preview(
    checked: Checked,
    snapshot: Snapshot,
    webhook: Webhook,
    record: str,
    user: str | None,
    known: Beneath | None,
    now: int,
) -> Previewed:
    """Return why a webhook does or does not fire on a record, and its request.

    now: unix ms for a record without a time.
    """
    try:
        given = given_of(snapshot, record, user, known, now)
    except GivenError as error:
        return Previewed(checked, error.reason)
    stored = given.joins_now
    found = list(explain(snapshot.alone(webhook), given, webhook.id, known if stored else None))
    if not found:
        return Previewed(checked, "there is no event in it, and no change of a property")
    # Of a batch, the event that fires.
    one = next((one for one in found if one.request is not None), found[0])
    event, person = one.moment
    request = _request(one, webhook)
    shown = request.method != ""
    update = next((native_line(one) for one in given.records if isinstance(one, PropertyUpdate)), None)
    sent, properties = _as_sent(one, update)
    return Previewed(
        checked,
        event=orjson.loads(native_line(event)),
        user={
            "id": person.id,
            "anonymous_id": person.anonymous_id,
            "identified": person.identified,
            "properties": person.properties,
            **({} if person.before is None else {"before": person.before}),
        },
        stored_user=stored,
        fires=one.request is not None and shown,
        verdict=one.verdict,
        clauses=tuple(map(Told.of, one.clauses)),
        request=ShownRequest(
            request.method, request.url, request.headers, request.text, request.encoding, request.added
        )
        if shown
        else None,
        dead_letter=request.dead_letter,
        webhook_id=request.webhook_id,
        record=orjson.loads(sent),
        properties=properties,
    )


def given_of(
    snapshot: Snapshot, record: str, user: str | None, known: Beneath | None, now: int | None = None
) -> Given:
    """Return the record with its user: as given, or as the job knows them.

    Raises GivenError for unusable input.
    """
    given = understand(
        Text("event", record.encode("utf-8", "surrogatepass")),
        None if user is None else Text("user", user.encode("utf-8", "surrogatepass")),
        snapshot.formats,
        now,
    )
    stored = user is None and known is not None
    return Given(given.name, given.records, None, joins_now=True) if stored else given


def _as_sent(one: Explained, update: bytes | None) -> tuple[bytes, dict[str, Value]]:
    """Return the record, and the user's properties, with which the job sends the same request."""
    event, user = one.moment
    if user.before is None or update is None:
        return native_line(event), user.properties
    before = {name: value for name, value in user.properties.items() if name not in event.properties}
    return update, before | user.before


def _request(one: Explained, webhook: Webhook) -> Preview:
    """Return what would be sent; even where the trigger does not hold, as a test send does."""
    if one.request is not None and not one.request.suppressed:
        return one.request
    event, user = one.moment
    try:
        return Preview.of(Match("", webhook, event, user, webhook.request.render(event, user)))
    except RenderError as error:
        return Preview.of(Match("", webhook, event, user, None, str(error)))


@dataclass(slots=True)
class Samples:
    """Recent records, decoded once."""

    records: list[tuple[str, list[Record]]]
    """With their ids, oldest first."""
    users: AskedUsers | None

    @classmethod
    def of(cls, told: list[tuple[str, list[Value]]], users: AskedUsers | None) -> Samples:
        """Return samples given newest first."""
        return cls([(name, [*_decoded(name, records)]) for name, records in reversed(told)], users)


def _decoded(name: str, records: Iterable[Value]) -> Iterator[Record]:
    for at, record in enumerate(records):
        if "invalid" not in record:
            yield from decode(
                orjson.dumps(record), format="native", origin=Origin(f"sample {name}", at), received_at=None
            )


@dataclass(slots=True)
class Run:
    """The result of samples."""

    fires: dict[str, str] = field(default_factory=dict)
    """Name of the event, by sample id."""
    suppressed: int = 0
    dead: int = 0

    def counts(self) -> Fired:
        """Return how many there are of each."""
        return Fired(len(self.fires), self.suppressed, self.dead)


def run(snapshot: Snapshot, webhook: Webhook, samples: Samples) -> Run:
    """Return what a webhook makes of samples, in order, as of a stream."""
    rehearsal = Rehearsal(snapshot.alone(webhook), known=samples.users)
    found = Run()
    for name, records in samples.records:
        dead = suppressed = False
        for record in records:
            for match in rehearsal.tell(fresh(record)):
                if isinstance(match, Invalid):
                    continue
                if match.suppressed:
                    suppressed = True
                else:
                    found.fires.setdefault(name, match.event.name)
                    dead |= match.request is None
        found.suppressed += suppressed and name not in found.fires
        found.dead += dead
    return found


def fresh(record: Record) -> Record:
    """Return a copy of an event: a story assigns it to its user in place."""
    return copy(record) if isinstance(record, (Event, PropertyUpdate)) else record


def compared(checked: Checked, now: Run, before: Run | None, samples: Samples) -> WouldFire:
    """Return counts over samples, now and before the edit."""
    newest = [name for name, _ in reversed(samples.records)]
    old = {} if before is None else before.fires
    differing = [
        Differs(name, now.fires.get(name) or old[name], name in now.fires)
        for name in newest
        if before is not None and (name in now.fires) != (name in old)
    ]
    return WouldFire(
        checked,
        len(samples.records),
        sum(any(isinstance(one, Event) for one in records) for _, records in samples.records),
        now.counts(),
        None if before is None else before.counts(),
        tuple(differing[:TOLD]),
        tuple([name for name in newest if name in now.fires][:TOLD]),
    )
