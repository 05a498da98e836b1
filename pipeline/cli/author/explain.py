"""``hookline explain``: which clause holds for one event, with the value it saw, and what would be sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import orjson

from pipeline.cli import given, requests
from pipeline.cli.options import config_option
from pipeline.cli.output import json_option, print_json
from pipeline.model.errors import UsageError
from pipeline.model.exits import Exit

if TYPE_CHECKING:
    from pipeline.compile.snapshot import Webhook
    from pipeline.match.verdicts import Clause
    from pipeline.operate.dry_run import Fired


class Explained(NamedTuple):
    """One webhook's verdict over one event."""

    webhook: Webhook
    event: str
    findings: list[Clause]
    fired: Fired | None


@click.command()
@config_option
@given.event_option
@given.user_option
@given.format_option
@click.option("--webhook", metavar="ID", help="Only this webhook; by default all.")
@json_option
def explain(
    config: Path, event_file: Path, user_file: Path | None, format: str, webhook: str | None, as_json: bool
) -> int:
    """Show every clause's verdict for one event, and the request that would be sent.

    Exit code 0 if a webhook fires, 1 if none does. Nothing is sent.
    """
    found = list(examine(config, event_file, user_file, format, webhook))
    if as_json:
        print_json([as_json_value(one) for one in found])
    else:
        click.echo("\n\n".join(as_text(one) for one in found))
    return Exit.OK if any(one.fired is not None for one in found) else Exit.PROBLEMS


def examine(
    config: Path, event_file: Path, user_file: Path | None, format: str, only: str | None
) -> Iterator[Explained]:
    """Yield the verdict of every webhook, or of the one, over each event of the file."""
    from pipeline.match.verdicts import explain_trigger
    from pipeline.operate.dry_run import DryRun

    snapshot = given.load_snapshot(config)
    webhooks = [one for one in snapshot.webhooks if only in (None, one.id)]
    if not webhooks:
        raise UsageError(f"there is no webhook `{only}`; there are: {', '.join(snapshot.by_id)}")
    run = DryRun(snapshot, only=None if only is None else {only})
    records = given.given_records(event_file, format, given.given_user(user_file)[0])
    known = given.known_update(records, user_file)
    if known is not None:
        run.know(known)
    for record in records:
        for key, candidates, event, user in run.join(record):
            fired = {one.webhook.id: one for one in run.fire(key, candidates, event, user)}
            for webhook in webhooks:
                findings = explain_trigger(webhook.trigger, event, user)
                yield Explained(webhook, event.name, findings, fired.get(webhook.id))


def verdict(one: Explained) -> str:
    """Return what becomes of the event: fires, is suppressed, is a dead letter, or why not."""
    if one.fired is not None:
        if one.fired.suppressed:
            return "matches, but `limit` or `dedupe` holds it back"
        return "fires" if one.fired.request is not None else "matches, but cannot be rendered"
    if not one.webhook.enabled:
        return "does not fire: it is disabled"
    holds = all(finding.holds for finding in one.findings if finding.depth == 0)
    return "does not fire yet: `repeat` waits for more" if holds else "does not fire"


def as_text(one: Explained) -> str:
    """Return a verdict for a person."""
    lines = [f"{one.webhook.id}: {verdict(one)} on {one.event}"]
    for finding in one.findings:
        mark = "✓" if finding.holds else "✗"
        saw = f"   {finding.path} is {_shown(finding.seen)}" if finding.path is not None else ""
        lines.append(f"  {'  ' * finding.depth}{mark} {finding.text}{saw}")
    if one.fired is not None and not one.fired.suppressed:
        lines += ["", requests.as_text(one.fired)]
    return "\n".join(lines)


def as_json_value(one: Explained) -> dict[str, Any]:
    """Return a verdict as JSON data."""
    return {
        "webhook": one.webhook.id,
        "event": one.event,
        "fires": one.fired is not None and one.fired.request is not None,
        "verdict": verdict(one),
        "clauses": [
            {
                "depth": finding.depth,
                "clause": finding.text,
                "path": finding.path,
                "holds": finding.holds,
                **({} if _is_missing(finding.seen) else {"value": finding.seen}),
            }
            for finding in one.findings
        ],
        "request": None if one.fired is None else requests.as_json_value(one.fired),
    }


def _is_missing(value: Any) -> bool:
    from pipeline.model.records import MISSING

    return value is MISSING


def _shown(value: Any) -> str:
    if _is_missing(value):
        return "missing"
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= 200 else f"{text[:200]}…"
