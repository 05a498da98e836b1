"""``hookline send``: one real request of one webhook, through the job's own delivery engine."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import given, requests
from pipeline.cli.options import config_option
from pipeline.cli.output import json_option, print_json, say
from pipeline.model.errors import ConfigError, UsageError
from pipeline.model.exits import Exit

if TYPE_CHECKING:
    from pipeline.compile.snapshot import Snapshot
    from pipeline.operate.dry_run import Fired
    from pipeline.outbox.handover import Result

TEST_HEADER = ("webhook-test", "true")
"""Marks a test delivery, so that a receiver can tell it from the real thing."""


@click.command()
@config_option
@click.option("--webhook", required=True, metavar="ID", help="The webhook.")
@given.event_option
@given.user_option
@given.format_option
@click.option("--allow", multiple=True, metavar="CIDR", help="Open a network that the guard refuses.")
@json_option
def send(
    config: Path,
    webhook: str,
    event_file: Path,
    user_file: Path | None,
    format: str,
    allow: tuple[str, ...],
    as_json: bool,
) -> int:
    """Really send one request, and show the answer.

    It goes out as the job would send it, with its secrets and its signature, and the header
    `webhook-test: true`. It is tried once. Exit code 1 if it does not succeed.
    """
    from pipeline.compile.snapshot import compile_config
    from pipeline.config.files import read_config
    from pipeline.config.job import load_pipeline

    job_config = load_pipeline(config, flags={"network.allow": list(allow) or None}).require()
    snapshot = compile_config(read_config(config, defaults=job_config.defaults)).require()
    fired = render(snapshot, webhook, event_file, user_file, format)
    if not as_json:
        click.echo(requests.as_text(fired))
    begun = time.monotonic()
    result = deliver(snapshot, fired, job_config.network_allow, config)
    progress = result.delivery.progress
    answer: dict[str, Any] = {
        "outcome": result.outcome.name.lower(),
        "status": progress.status or None,
        "reason": result.reason or None,
        "response": progress.excerpt or None,
        "elapsed_ms": round((time.monotonic() - begun) * 1000, 1),
    }
    if as_json:
        print_json({"request": requests.as_json_value(fired), "answer": answer})
    else:
        said = f"status {progress.status}" if progress.status else "no answer"
        click.echo(f"\n{answer['outcome']}: {said} after {answer['elapsed_ms']:,} ms")
        for line in (result.reason, progress.excerpt):
            if line:
                click.echo(line)
    return Exit.OK if answer["outcome"] == "delivered" else Exit.PROBLEMS


def render(snapshot: Snapshot, webhook: str, event_file: Path, user_file: Path | None, format: str) -> Fired:
    """Return the request of the webhook for the event; whether its trigger holds is said, not asked."""
    from pipeline.job.steps.shard import message_name
    from pipeline.model.errors import RenderError
    from pipeline.operate.dry_run import DryRun, Fired

    found = snapshot.by_id.get(webhook)
    if found is None:
        raise UsageError(f"there is no webhook `{webhook}`; there are: {', '.join(snapshot.by_id)}")
    run = DryRun(snapshot, only={webhook})
    records = given.given_records(event_file, format, given.given_user(user_file)[0])
    known = given.known_update(records, user_file)
    if known is not None:
        run.know(known)
    for record in records:
        for key, candidates, event, user in run.join(record):
            for fired in run.fire(key, candidates, event, user):
                if fired.request is None and not fired.suppressed:
                    raise ConfigError(f"{webhook}: it cannot be rendered: {fired.reason}")
                if fired.request is not None:
                    return fired
            say(f"note: the trigger of {webhook} does not hold for this event (`hookline explain` shows why)")
            try:
                request = found.request.render(event, user)
            except RenderError as error:
                raise ConfigError(f"{webhook}: it cannot be rendered: {error}") from error
            return Fired(found, message_name(found.id, event), request, "", event, user)
    raise ConfigError(f"{event_file}: error[record]: there is no event in it, and no change of a property")


def deliver(snapshot: Snapshot, fired: Fired, allow: tuple[str, ...], config: Path) -> Result:
    """Send the request through a delivery engine of its own and return what came of the first attempt."""
    from dataclasses import replace

    from pipeline.deliver.engine import DeliveryEngine
    from pipeline.language.secrets import Secrets
    from pipeline.outbox.handover import Delivery, Port, Progress, Request

    assert fired.request is not None
    ended = threading.Event()
    results: list[Result] = []

    class Told:
        """In the journal's place: nothing is kept, the first result is enough."""

        def append(self, found: list[Result], now_ms: int) -> None:
            results.extend(found)
            ended.set()

        def switch(self, generation: int) -> None:
            """There is one generation only."""

    rendered, webhook = fired.request, fired.webhook
    request = Request(
        key=f"{webhook.id}\0test".encode(),
        webhook_id=webhook.id,
        message_id=fired.message_id,
        config=snapshot.hash,
        method=rendered.method,
        url=rendered.url,
        headers=(*rendered.headers, TEST_HEADER),
        body=rendered.body,
        created_ms=time.time_ns() // 1_000_000,
    )
    port = Port(0, Told(), lambda *_: ([], None))
    delivery = Delivery(port=port, request=request, progress=Progress(), row=request.key)
    settings = webhook.delivery
    if settings.batch is not None:
        settings = replace(settings, batch=replace(settings.batch, max_wait_secs=0.0))
    engine = DeliveryEngine(allow=allow, secrets=Secrets(os.environ, config))
    engine.start()
    try:
        engine.configure({webhook.id: replace(webhook.spec, enabled=True, delivery=settings)})
        engine.submit([delivery])
        ended.wait(settings.timeout_secs + 5.0)
    finally:
        engine.stop()
    if not results:
        raise ConfigError(
            f"{webhook.id}: it was not sent: the webhook is disabled, or its receiver is not reached"
        )
    return results[0]
