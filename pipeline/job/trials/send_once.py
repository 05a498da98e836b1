"""Sends one real request of one webhook through an engine of its own; the job's counters stay as they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf

from pipeline.compile.snapshot import Snapshot
from pipeline.config.models.webhooks.receiver import OAuth2Auth
from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.http.attempt import TOKEN_TIMEOUT_SECS
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.stats import Publisher
from pipeline.job.replay import Replay
from pipeline.job.story import Match
from pipeline.job.trials.rehearse import Rehearsal
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError, RenderError
from pipeline.model.json import Plain
from pipeline.model.records import PropertyUpdate, Record
from pipeline.outbox.handover import Delivery, Port, Progress, Request, Result

TEST_HEADER = ("webhook-test", "true")
"""Marks a test delivery, so that a receiver can tell it from the real thing."""


@dataclass(slots=True, frozen=True)
class Answer(Plain):
    """The outcome of the one attempt."""

    outcome: str
    """delivered, retry or dead: what the job would do next."""
    status: int | None
    reason: str | None
    response: str | None
    """The beginning of the answer."""
    elapsed_ms: float


def match_for(
    snapshot: Snapshot,
    webhook_id: str,
    records: Iterable[Record],
    known: PropertyUpdate | None,
    before: Iterable[Record] = (),
) -> tuple[Match, bool] | None:
    """Return the webhook's first match, and whether its trigger holds; None where there is no event.

    known: what is known of their user. before: updates and links that precede them.
    Raises UsageError for an unknown webhook.
    """
    webhook = snapshot.named(webhook_id)
    rehearsal = Rehearsal(snapshot, Replay(webhooks=frozenset({webhook_id})))
    if known is not None:
        rehearsal.know(known)
    for record in before:
        rehearsal.rehearse(record)
    for record in records:
        for event, user, matches, _ in rehearsal.moments(record):
            for match in matches:
                if not match.suppressed:
                    return match, True
            try:
                return Match("", webhook, event, user, webhook.request.render(event, user)), False
            except RenderError as error:
                return Match("", webhook, event, user, None, str(error)), False
    return None


class _Silent(Publisher):
    """Publishes nothing: the metrics are the job's."""

    def run(self, lanes: Mapping[str, Lane], flying: int, now: float, *, all_now: bool) -> float:
        return inf


class _Engine(DeliveryEngine):
    publishing = _Silent


class FirstResults:
    """Takes a journal's place: keeps the first results and signals their arrival."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.there = threading.Event()

    def append(self, results: list[Result], now_ms: int) -> None:
        """Keep results."""
        self.results += results
        self.there.set()

    def switch(self, generation: int) -> None:
        """Do nothing: there is only one generation."""


def send_once(snapshot: Snapshot, match: Match, secrets: Secrets) -> Answer:
    """Send the request of a match once. Raises ConfigError where it cannot be sent at all."""
    rendered, webhook = match.request, match.webhook
    assert rendered is not None
    begun = time.monotonic()
    request = Request(
        key=f"{webhook.id}\0test".encode(),
        webhook_id=webhook.id,
        message_id=match.message_id,
        config=snapshot.hash,
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
    engine = _Engine(allow=snapshot.text.defaults.network_allow, secrets=secrets)
    engine.start()
    try:
        engine.orders.configure({webhook.id: replace(webhook.spec, enabled=True, delivery=settings)})
        engine.submit([Delivery(port=port, request=request, progress=Progress(), row=request.key)])
        # A token may need two requests, as some endpoints want the credentials in the form.
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
