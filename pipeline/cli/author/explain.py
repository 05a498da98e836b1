"""``hookline explain``: which clause holds for one event, with the value it saw, and what would be sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from pipeline.cli import given, requests
from pipeline.cli.options import config_option
from pipeline.cli.output import echo, json_option, print_json
from pipeline.model.exits import Exit
from pipeline.model.json import Value
from pipeline.model.printable import one_line
from pipeline.model.records import MISSING

if TYPE_CHECKING:
    from pipeline.operate.trials.explain import Explained


@click.command()
@config_option
@given.event_option
@given.user_option
@given.format_option
@click.option("--webhook", metavar="ID", help="Only this webhook; by default all.")
@json_option
def explain(
    config: Path,
    event_file: Path,
    user_file: Path | None,
    format: str | None,
    webhook: str | None,
    as_json: bool,
) -> int:
    """Show every clause's verdict for one event, and the request that would be sent.

    Times are the record's own. Exit code 0 if a webhook fires, 1 if none does or a request cannot be rendered
    (a dead letter). Nothing is sent.
    """
    from pipeline.operate.trials import explain as explaining

    found = list(explaining.explain(config, given.read(config, event_file, user_file, format), webhook))
    if as_json:
        print_json([one.to_json() for one in found])
    else:
        echo("\n\n".join(as_text(one) for one in found))
    requests_made = [one.request for one in found if one.request is not None]
    is_dead = any(request.dead_letter is not None for request in requests_made)
    return Exit.OK if requests_made and not is_dead else Exit.PROBLEMS


def as_text(one: Explained) -> str:
    """Return a verdict for a person."""
    lines = [f"{one.webhook}: {one.verdict} on {one_line(str(one.event))}"]
    for clause in one.clauses:
        mark = "✓" if clause.holds else "✗"
        saw = f"   {clause.path} is {_seen(clause.seen)}" if clause.path is not None else ""
        lines.append(f"  {'  ' * clause.depth}{mark} {one_line(clause.text + saw)}")
    if one.request is not None and not one.request.suppressed:
        lines += ["", requests.as_text(one.request)]
    return "\n".join(lines)


def _seen(value: Value) -> str:
    if value is MISSING:
        return "missing"
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= 200 else f"{text[:200]}…"
