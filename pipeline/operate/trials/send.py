"""One real request of one webhook, through the job's own delivery engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.config.files import read_config
from pipeline.config.job import load_pipeline
from pipeline.config.models.receiver import OAuth2Auth
from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.http.aiohttp_client import TOKEN_TIMEOUT_SECS
from pipeline.job.preview import Preview
from pipeline.job.rehearse import Rehearsal
from pipeline.job.replay import Replay
from pipeline.job.story import Match
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError, GivenError, RenderError
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.process.bounds import bounded
from pipeline.operate.trials.given import Given
from pipeline.outbox.handover import Delivery, Port, Progress, Request, Result

TEST_HEADER = ("webhook-test", "true")
"""Marks a test delivery, so that a receiver can tell it from the real thing."""


@dataclass(slots=True, frozen=True)
class Answer:
    """What came of the one attempt."""

    outcome: str
    """delivered, retry or dead, as the job would go on."""
    status: int | None
    reason: str | None
    response: str | None
    """How the answer begins."""
    elapsed_ms: float

    def to_json(self) -> dict[str, Value]:
        """Return the fields."""
        return asdict(self)


@dataclass(slots=True, frozen=True)
class Prepared:
    """A request that is ready to be sent."""

    snapshot: Snapshot
    match: Match
    holds: bool
    """Whether the trigger holds; it is sent all the same."""

    @property
    def preview(self) -> Preview:
        """The request without its secrets."""
        return Preview.of(self.match)


def prepare(config: Path, webhook_id: str, given: Given, allow: Sequence[str] = ()) -> Prepared:
    """Return the request of a webhook for the event that is given, with the job's secrets.

    allow: networks that are open, in place of the config's. Raises ConfigError where the config or the event
    cannot be used or the request cannot be rendered, UsageError where there is no such webhook.
    """
    job = load_pipeline(config, flags={"network.allow": list(allow) or None}).require()
    with bounded(root=str(config)):
        text = read_config(config, defaults=job.defaults)
        snapshot = compile_config(text, secrets=Secrets(base=config)).require()
    match, holds = _match(snapshot, webhook_id, given)
    if match.request is None:
        raise ConfigError(f"{webhook_id}: it cannot be rendered: {match.reason}")
    return Prepared(snapshot, match, holds)


def _match(snapshot: Snapshot, webhook_id: str, given: Given) -> tuple[Match, bool]:
    """Return the webhook's first match, and whether its trigger holds."""
    webhook = snapshot.named(webhook_id)
    rehearsal = Rehearsal(snapshot, Replay(webhooks=frozenset({webhook_id})))
    if given.known is not None:
        rehearsal.know(given.known)
    for record in given.records:
        for event, user, matches, _ in rehearsal.moments(record):
            for match in matches:
                if not match.suppressed:
                    return match, True
            try:
                return Match("", webhook, event, user, webhook.request.render(event, user)), False
            except RenderError as error:
                return Match("", webhook, event, user, None, str(error)), False
    message = "there is no event in it, and no change of a property"
    raise GivenError([Finding(given.name, 0, 0, "record", message)])


class FirstResults:
    """In a journal's place: keeps the first results and says when they are there."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.there = threading.Event()

    def append(self, results: list[Result], now_ms: int) -> None:
        """Keep results."""
        self.results += results
        self.there.set()

    def switch(self, generation: int) -> None:
        """Do nothing: there is one generation only."""


def send(prepared: Prepared) -> Answer:
    """Send a request once, through an engine of its own. Raises ConfigError where it is not sent at all."""
    rendered, webhook = prepared.match.request, prepared.match.webhook
    assert rendered is not None
    begun = time.monotonic()
    request = Request(
        key=f"{webhook.id}\0test".encode(),
        webhook_id=webhook.id,
        message_id=prepared.match.message_id,
        config=prepared.snapshot.hash,
        method=rendered.method,
        url=rendered.url,
        headers=(*rendered.headers, TEST_HEADER),
        body=rendered.body,
        created_ms=time.time_ns() // 1_000_000,
    )
    settings = webhook.delivery
    if settings.batch is not None:
        settings = replace(settings, batch=replace(settings.batch, max_wait_secs=0.0))
    first = FirstResults()
    port = Port(0, first, lambda *_: ([], None))
    text = prepared.snapshot.text
    engine = DeliveryEngine(allow=text.defaults.network_allow, secrets=Secrets(base=Path(text.root)))
    engine.start()
    try:
        engine.orders.configure({webhook.id: replace(webhook.spec, enabled=True, delivery=settings)})
        engine.submit([Delivery(port=port, request=request, progress=Progress(), row=request.key)])
        # A token may have to be asked for twice, as some endpoints want the credentials in the form.
        extra = 2 * TOKEN_TIMEOUT_SECS if isinstance(webhook.spec.receiver.auth, OAuth2Auth) else 0.0
        first.there.wait(settings.timeout_secs + extra + 5.0)
        why = engine.stats().lanes[webhook.id].error
    finally:
        engine.stop()
    if not first.results:
        raise ConfigError(f"{webhook.id}: it was not sent: {why or 'its receiver is not reached'}")
    result = first.results[0]
    progress = result.delivery.progress
    return Answer(
        result.outcome.name.lower(),
        progress.status or None,
        result.reason or None,
        progress.excerpt or None,
        round((time.monotonic() - begun) * 1000, 1),
    )
