"""The results of trying an unsaved text: made in `child.py`, passed to the caller."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pipeline.match.advice import Told
from pipeline.model.findings import Finding, check_json, errors_in
from pipeline.model.json import Plain, Value


@dataclass(slots=True, frozen=True)
class Checked:
    """The whole config, with an unsaved text in a file's place."""

    file: str
    findings: tuple[Finding, ...]
    """Of all files, as in `hookline check`; those of this file: `own`."""
    webhooks: int = 0
    labels: int = 0
    webhook: str | None = None
    """The id that the text gives; None where there is none, or it is not a webhook."""
    enabled: bool | None = None
    """Whether the text says that the webhook is enabled; None where it is none."""

    @property
    def errors(self) -> int:
        """How many of the findings are errors."""
        return errors_in(self.findings)

    @property
    def own(self) -> tuple[Finding, ...]:
        """Findings of the file itself."""
        return tuple(finding for finding in self.findings if finding.file == self.file)

    @property
    def can_be_tried(self) -> bool:
        """Whether the file has no errors but secrets without a value, which no page shows."""
        return all(one.warning or one.code == "missing-secret" for one in self.own)

    def to_json(self) -> dict[str, Value]:
        """Return what `hookline check --json` prints."""
        return check_json(self.findings, self.webhooks, self.labels)


@dataclass(slots=True, frozen=True)
class ShownRequest(Plain):
    """A request as it would be sent, with ``${NAME}`` for every secret."""

    method: str
    url: str
    headers: dict[str, str]
    body: str
    """Byte for byte what is sent; "" where there is none."""
    encoding: str
    """json, form or text."""
    added: dict[str, str]
    """Headers that are only added when it is sent: authentication and signature, in words."""


@dataclass(slots=True, frozen=True)
class Previewed:
    """What a webhook, as it is written now, makes of one record."""

    checked: Checked
    """What is wrong with the text. Unless it `can_be_tried`, nothing else is known."""
    problem: str | None = None
    """Why the record or the user cannot be used: a sentence with its place."""
    event: Value = None
    """The event that the trigger saw, in Hookline's own shape."""
    user: Value = None
    """The joined user: id, anonymous_id, identified, properties, and `before` for a change."""
    stored_user: bool = False
    """True: the user is as the job knows them now, not as given."""
    fires: bool = False
    verdict: str = ""
    """fires, is held back, cannot be rendered, or why it does not fire (the words of `hookline explain`)."""
    clauses: tuple[Told, ...] = ()
    request: ShownRequest | None = None
    """What would be sent; even where the trigger does not hold, since a test send sends it then."""
    dead_letter: str | None = None
    """Why it cannot be rendered."""
    webhook_id: str | None = None
    """The header of that name, for a record with an id."""
    record: Value = None
    """In Hookline's own shape, for `looks.send_test`: with `properties` the job sends the same request."""
    properties: Value = None
    """The user's, before the record."""

    def to_json(self) -> dict[str, Value]:
        """Return all of it."""
        return {
            **self.checked.to_json(),
            "problem": self.problem,
            "webhook": self.checked.webhook,
            "event": self.event,
            "user": self.user,
            "stored_user": self.stored_user,
            "fires": self.fires,
            "verdict": self.verdict,
            "clauses": [clause.to_json() for clause in self.clauses],
            "request": None if self.request is None else self.request.to_json(),
            "dead_letter": self.dead_letter,
            "webhook_id": self.webhook_id,
        }


@dataclass(slots=True, frozen=True)
class WebhookVerdict(Plain):
    """What one webhook of the config on disk makes of an event."""

    webhook: str
    event: str
    fires: bool
    verdict: str
    """In the words of `hookline explain`."""
    clause: str | None = None
    """The first that does not hold, with the value it saw."""


@dataclass(slots=True, frozen=True)
class Explanation:
    """What every webhook of the config on disk makes of one record."""

    problem: str | None = None
    """Why the record or the user cannot be used."""
    verdicts: tuple[WebhookVerdict, ...] = ()
    """Those that fire first, then in the order of their files."""


@dataclass(slots=True, frozen=True)
class Fired:
    """The result of the samples under one version of a webhook."""

    fires: int = 0
    """Samples that make a request (including those that cannot be rendered)."""
    suppressed: int = 0
    """Samples that `limit` or `dedupe` suppresses."""
    dead: int = 0
    """Those among the firing ones that cannot be rendered."""


@dataclass(slots=True, frozen=True)
class Differs:
    """A sample on which one version fires and the other does not."""

    sample: str
    """Its id."""
    event: str
    """Name of its event; `User updated` for a change of properties."""
    fires: bool
    """Now; before the edit it was the opposite."""


@dataclass(slots=True, frozen=True)
class LabelSeen(Plain):
    """A label, and what it matches among the job's recent records."""

    name: str
    file: str
    description: str
    about_users: bool
    """True: it says nothing about events, only about their users."""
    matches: int
    """How many of the `events` among the samples it matches."""
    events: int
    names: dict[str, int]
    """Names of the matching ones, most frequent first."""


@dataclass(slots=True, frozen=True)
class WouldFire:
    """On how many of the samples a webhook would fire, and did before the edit."""

    checked: Checked
    samples: int = 0
    """Samples that were tried: the M of `fires on N of M`."""
    events: int = 0
    """Samples with an event; the others are updates of users, links, or unreadable."""
    now: Fired | None = None
    """None where the text has errors."""
    before: Fired | None = None
    """For the file on disk; None where there is none, or it has errors."""
    differing: tuple[Differs, ...] = ()
    """The newest first; at most a hundred."""
    fired: tuple[str, ...] = ()
    """Ids of samples that fire now, the newest first; at most a hundred."""

    def to_json(self) -> dict[str, Value]:
        """Return the counts."""
        return {
            **self.checked.to_json(),
            "samples": self.samples,
            "events": self.events,
            "now": None if self.now is None else asdict(self.now),
            "before": None if self.before is None else asdict(self.before),
            "differing": [asdict(one) for one in self.differing],
            "fired": [*self.fired],
        }


@dataclass(slots=True, frozen=True)
class Completion(Plain):
    """Something that may stand at the cursor."""

    label: str
    """The text in the list."""
    insert: str
    """The text that replaces everything from `column` to the cursor."""
    kind: str
    """field, value, event, label, path, filter, operator, secret, base or shape."""
    detail: str = ""
    """Its meaning, or its type and an example."""
    column: int = 1
    """Where the replaced text begins, counted from 1."""
