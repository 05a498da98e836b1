"""``hookline explain``: which clauses hold for one event, the values they saw, and the rendered request."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from pipeline.cli import given, requests
from pipeline.cli.options import config_option, state_dir, state_option
from pipeline.cli.output import echo, json_option, print_json, print_text, say
from pipeline.match.advice import UNKNOWN, advice
from pipeline.model.json import Value
from pipeline.model.printable import one_line
from pipeline.model.process.exits import Exit
from pipeline.model.records import MISSING

if TYPE_CHECKING:
    from pipeline.operate.trials.explain import Explained


@click.command()
@config_option
@given.event_option(required=False)
@given.line_option
@click.option("--dlq", "letter", metavar="ID", help="Instead of --event: what became this dead letter.")
@click.option(
    "--from-topic",
    "place",
    metavar="TOPIC",
    help="Instead of --event: the latest message of a topic, or that at TOPIC/PARTITION:OFFSET.",
)
@given.user_option
@given.format_option
@state_option
@click.option("--webhook", metavar="ID", help="Only this webhook; by default all.")
@json_option
def explain(
    config: Path,
    event_file: Path | None,
    line: int | None,
    letter: str | None,
    place: str | None,
    user_file: Path | None,
    format: str | None,
    state: Path | None,
    webhook: str | None,
    as_json: bool,
) -> int:
    """Show for one event which conditions hold, and the request that would be sent.

    Times are the record's own; for an unreadable dead letter, the user is as the job knows them now.
    Exit code 0 if a webhook fires, 1 if none does or a request cannot be rendered
    (a dead letter). Nothing is sent.
    """
    from pipeline.join.known import Known
    from pipeline.operate.offline import load_snapshot
    from pipeline.operate.trials import explain as explaining
    from pipeline.operate.trials.given import formats_for, with_user

    given_ones = [one for one in (event_file, letter, place) if one is not None]
    if len(given_ones) != 1 or (line is not None and event_file is None):
        raise click.UsageError(
            "name a record: --event FILE, --event FILE --line N, --dlq ID or --from-topic TOPIC"
        )
    if letter is not None and user_file is not None:
        raise click.UsageError("--user goes with --event and --from-topic: a dead letter brings its user")
    if letter is not None:
        from pipeline.operate.trials.lines import letter_of

        tried = letter_of(state_dir(config, state), letter, formats_for(config, format))
    elif place is not None:
        from pipeline.config.job import load_pipeline
        from pipeline.operate.trials.lines import message_of

        tried = message_of(load_pipeline(config).require(), place, formats_for(config, format))
        if user_file is not None:
            tried = with_user(tried, given.read_text(user_file))
    else:
        assert event_file is not None  # one of the three is given
        tried = given.read(config, event_file, line, user_file, format)
    with closing(Known(state_dir(config, state))) if tried.joins_now else nullcontext() as known:
        found = list(explaining.explain(load_snapshot(config), tried, webhook, known))
    if as_json:
        print_json([one.to_json() for one in found])
    else:
        for number, one in enumerate(found):
            show(one, is_first=number == 0)
        if user_file is None and letter is None and not tried.before and any(map(_asks_the_user, found)):
            say("\nOne record says little of its user: `--user FILE` gives what was known by then.")
        if tried.names_nobody:
            say("\nThe record names nobody: a job refuses it without a `user_id` or an `anonymous_id`.")
    if not (found or as_json):
        say("no event: the record deletes a user, links two ids, or changes no property")
    requests_made = [one.request for one in found if one.request is not None]
    is_dead = any(request.dead_letter is not None for request in requests_made)
    return Exit.OK if requests_made and not is_dead else Exit.PROBLEMS


def show(one: Explained, *, is_first: bool) -> None:
    """Print a verdict for a person, and the request as it goes out."""
    if not is_first:
        echo()
    lines = [f"{one.webhook}: {one.verdict} on {one_line(str(one.event))}"]
    for clause in one.clauses:
        mark = "✓" if clause.holds else "✗"
        saw = f"   {clause.path} is {_seen(clause.seen)}" if clause.path is not None else ""
        lines.append(f"  {'  ' * clause.depth}{mark} {one_line(clause.text + saw)}")
        if (hint := advice(clause)) is not None:
            lines.append(f"  {'  ' * clause.depth}    {hint}")
    print_text("\n".join(lines))
    if one.request is not None and not one.request.suppressed:
        echo()
        requests.show(one.request)
    if one.absent:
        say("\n" + "\n".join(map(one_line, one.absent)))


def _asks_the_user(one: Explained) -> bool:
    return any(advice(clause) == UNKNOWN for clause in one.clauses)


def _seen(value: Value) -> str:
    if value is MISSING:
        return "missing"
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= 200 else f"{text[:200]}…"
