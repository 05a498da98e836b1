"""``hookline dlq``: dead letters, by webhook, time and reason."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Literal

import click

from pipeline.cli.kinds import Place
from pipeline.cli.options import Actions, on_stores
from pipeline.cli.output import echo, json_option, print_json, print_json_lines, print_text, say, table
from pipeline.cli.page.lines import short
from pipeline.cli.state.exactly import as_counted, exactly, selecting, show_chosen
from pipeline.model.errors import UsageError
from pipeline.model.printable import one_line
from pipeline.model.process.exits import Exit
from pipeline.model.words import counted
from pipeline.operate.kept.dead_pages import groups, page
from pipeline.operate.kept.dlq import Selection, change, choose, find, select
from pipeline.operate.running.asking import Changed
from pipeline.outbox.reading.dead_letter_json import as_json_value, name_of, reason_of

if TYPE_CHECKING:
    from pipeline.outbox.codec import DeadLetter

selection = selecting(
    "Of this webhook; `-` for records that could not be read.",
    "Given up",
    click.option("--reason", metavar="TEXT", help="Reason that begins with this text, e.g. status-4."),
)
"""The flags that select dead letters."""


@click.group(cls=Actions)
def dlq() -> None:
    """List, show, replay, export or delete dead letters."""


@dlq.command("list")
@selection
@click.option("--limit", type=click.IntRange(min=1), default=50, help="Show at most this many.")
@click.option("--before", metavar="CURSOR", help="Continue after the list that printed this cursor.")
@json_option
def list_(state: Path, limit: int, before: str | None, as_json: bool, **wanted: Any) -> None:
    """List dead letters: the count for each reason, then the newest."""
    selection = Selection(**wanted)
    shown = page(state, selection, before, limit, secs=None)
    if as_json:
        print_json([as_json_value(dead) for dead in shown.letters])
        return
    if before is None:
        counted = groups(state, selection, secs=None)
        if not counted.counted:
            say("no dead letters")
            return
        table(
            ("webhook", "reason", "count"),
            [(one.webhook, short(one.reason, 120), one.count) for one in counted.groups[:20]],
            right=("count",),
            prose=("reason",),
        )
        echo()
    from pipeline.model.times import format_iso

    table(
        ("id", "webhook", "dead at", "attempts", "reason"),
        [
            (
                name_of(dead),
                dead.request.webhook_id or "-",
                format_iso(dead.dead_ms)[:19].replace("T", " "),
                dead.progress.attempt,
                short(reason_of(dead), 200),
            )
            for dead in shown.letters
        ],
        right=("attempts",),
        prose=("reason",),
    )
    if shown.older is not None:
        say(f"there are more; --before {shown.older} goes on, --json and `dlq export` show all facts")


@dlq.command()
@on_stores
@click.argument("id")
@json_option
def show(state: Path, id: str, as_json: bool) -> None:
    """Show one dead letter: its request, last response and origin; for a record, its message."""
    facts = as_json_value(find(state, id))
    if as_json:
        print_json(facts)
        return
    request, message = facts.pop("request"), facts.pop("message")
    for name, value in facts.items():
        if value is not None:
            shown = (
                f"{value['source']} offset {value['offset']} item {value['item']}"
                if name == "origin"
                else value
            )
            print_text(f"{name:<11} {one_line(str(shown))}")
    if message is not None:
        echo()
        if message["time"] is not None:
            echo(f"message of {message['time']}")
        for name, value in (("key", message["key"]), *message["headers"]):
            if value is not None:
                echo(f"{one_line(name)}: {one_line(value)}")
        if message["is_tombstone"]:
            echo("without a value: a tombstone")
    if request["method"]:
        echo(f"\n{request['method']} {one_line(request['url'])}")
        for name, value in request["headers"]:
            echo(f"{name}: {one_line(value)}")
    echo(f"\n{request['body']}")


@dlq.command()
@selection
@click.option("-o", "--output", type=Place(), help="File to write; by default, and for `-`, stdout.")
@click.option(
    "--records",
    is_flag=True,
    help="Only the records that could not be read, as a recording (NAME.rec.jsonl): `hookline replay` reads "
    "it by the present shapes, joined with what is known of users now.",
)
def export(state: Path, output: Path | None, records: bool, **wanted: Any) -> None:
    """Export dead letters as JSON Lines, one complete object each."""
    from pipeline.model.files.disk import wholly
    from pipeline.model.process.private import write_private
    from pipeline.operate.kept.dead_records import records as recorded
    from pipeline.sources.files.lines.recorded import NAMES, is_recording

    if output == Path("-"):
        output = None
    if records and output is not None and (not is_recording(output.name) or output.suffix != ".jsonl"):
        raise UsageError(f"{output}: a recording is known by its name: call it NAME{NAMES[0]}")
    letters = select(state, Selection(**wanted))
    if output is None and not records:
        print_json_lines(map(as_json_value, letters))
        return
    lines = recorded(letters, state) if records else map(_line, letters)
    if output is None:
        sys.stdout.buffer.writelines(lines)
        return
    count = 0
    with open(write_private(output), "wb") as file, wholly(output), file:
        for line in lines:
            file.write(line)
            count += 1
    said = f"{counted(count, 'record' if records else 'dead letter')} written to {output}"
    if records and count:
        said += (
            f": `hookline replay {quote(str(output))} -c ..` reads them by the present shapes, joined with"
        )
        said += " what the job knows of users now"
    say(said)


@dlq.command()
@selection
@click.argument("ids", nargs=-1)
@exactly
def replay(state: Path, ids: tuple[str, ...], **wanted: Any) -> int:
    """Send the selected dead letters again, with the same webhook-id: by IDS, by flags, or --all.

    A running job sends them immediately, a stopped one at the next start. Events that could not be rendered
    are rendered with the current config. Unreadable records stay: `dlq export --records` exports them for
    `hookline replay`.
    """
    return act("replay", state, ids, "to be sent again", **wanted)


@dlq.command()
@selection
@click.argument("ids", nargs=-1)
@exactly
def purge(state: Path, ids: tuple[str, ...], **wanted: Any) -> int:
    """Delete the selected dead letters for good; they still count as dead."""
    return act("purge", state, ids, "to be deleted", **wanted)


def _line(letter: DeadLetter) -> bytes:
    import orjson

    return orjson.dumps(as_json_value(letter), option=orjson.OPT_APPEND_NEWLINE)


def act(
    action: Literal["replay", "purge"],
    state: Path,
    ids: tuple[str, ...],
    what: str,
    *,
    everything: bool,
    dry_run: bool,
    digest: str | None,
    as_json: bool,
    **wanted: Any,
) -> int:
    """Do something with the selected dead letters: in the running job, or left for the next start."""
    selection = Selection(ids=ids, **wanted)
    if selection == Selection() and not everything:
        raise UsageError(
            "select dead letters by id, --webhook, --reason, --status, --user, --text, --since or --until, "
            "or say --all"
        )
    if dry_run:
        return show_chosen(choose(state, action, selection), "dead letter", what, as_json=as_json)

    done = change(state, action, selection, as_counted(digest))
    if as_json:
        done = done or Changed(0)
        found = {"count": done.number, "stay": done.stay, "unchanged": done.unchanged}
        print_json({**found, "at_next_start": done.at_next_start})
        return Exit.OK if done.number else Exit.PROBLEMS
    if done is None:
        say("no dead letters are selected")
        return Exit.PROBLEMS
    if done.number or action == "purge":
        when = " at the next start" if done.at_next_start else ""
        say(f"{counted(done.number, 'dead letter')} {what}{when}")
    if done.unchanged and action == "replay":
        say(
            f"{counted(done.unchanged, 'dead letter')} left as before: still without a request, since the "
            "template fails or the webhook is gone; the job's log says which"
        )
    if done.stay:
        say(
            f"{counted(done.stay, 'record')} that could not be read: left where it was. Mend the shape, "
            "then `hookline dlq export --records -o NAME.rec.jsonl` and `hookline replay NAME.rec.jsonl`"
        )
    return Exit.OK if done.number else Exit.PROBLEMS
