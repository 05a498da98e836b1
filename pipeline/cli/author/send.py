"""``hookline send``: one real request of one webhook, through the job's own delivery engine."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli import given, requests
from pipeline.cli.options import config_option
from pipeline.cli.output import json_option, print_json, print_text, say
from pipeline.model.process.exits import Exit


@click.command()
@config_option
@click.option("--webhook", required=True, metavar="ID", help="The webhook.")
@given.event_option(required=True)
@given.line_option
@given.user_option
@given.format_option
@click.option("--allow", multiple=True, metavar="CIDR", help="Allow a network that the guard blocks.")
@json_option
def send(
    config: Path,
    webhook: str,
    event_file: Path,
    line: int | None,
    user_file: Path | None,
    format: str | None,
    allow: tuple[str, ...],
    as_json: bool,
) -> int:
    """Send one real request, and show the response.

    It is sent as by the job, with its secrets and signature, and with the header `webhook-test: true`. It is
    tried once. Exit code 1 if it fails.
    """
    from pipeline.operate.trials import send as sending

    tried = given.read(config, event_file, line, user_file, format, happens_now=True)
    prepared = sending.prepare(config, webhook, tried, allow)
    if not prepared.holds:
        say(f"note: {webhook} does not fire on this event (`hookline explain` shows why)")
    if not as_json:
        requests.show(prepared.preview)
    answer = sending.send(prepared)
    if as_json:
        print_json({"request": prepared.preview.to_json(), "answer": answer.to_json()})
    else:
        said = f"status {answer.status}" if answer.status else "no answer"
        print_text(f"\n{answer.outcome}: {said} after {answer.elapsed_ms:,} ms")
        for text in (answer.reason, answer.response):
            if text:
                print_text(text)
    return Exit.OK if answer.outcome == "delivered" else Exit.PROBLEMS
