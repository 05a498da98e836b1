"""``hookline dlq``: dead letters, by webhook, time and reason."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from pipeline.cli.options import Actions, When, on_state
from pipeline.cli.output import echo, json_option, print_json, print_json_lines, say, table
from pipeline.model.errors import UsageError
from pipeline.model.printable import one_line
from pipeline.model.process.exits import Exit
from pipeline.model.words import counted
from pipeline.operate.dlq import Selection, change, find, select
from pipeline.outbox.reading.dead_letter_json import as_json_value, name_of, reason_of

if TYPE_CHECKING:
    from pipeline.outbox.codec import DeadLetter

F = TypeVar("F", bound=Callable[..., Any])


def selection(function: F) -> F:
    """Add the flags that select dead letters."""
    for option in (
        click.option("--until", type=When(), help="Given up before this time."),
        click.option("--since", type=When(), help="Given up at or after this time: a date, or 2h, 3d ago."),
        click.option("--reason", metavar="TEXT", help="Reason that begins with this text, e.g. status-4."),
        click.option(
            "--webhook", metavar="ID", help="Of this webhook; `-` for records that could not be read."
        ),
        on_state,
    ):
        function = option(function)
    return function


@click.group(cls=Actions)
def dlq() -> None:
    """Look at dead letters, send them again, export or delete them."""


@dlq.command("list")
@selection
@click.option("--limit", type=click.IntRange(min=1), default=50, help="Show at most so many.")
@json_option
def list_(state: Path, limit: int, as_json: bool, **wanted: Any) -> None:
    """List dead letters: how many for which reason, then the newest ones."""
    found = sorted(select(state, Selection(**wanted)), key=lambda dead: dead.dead_ms, reverse=True)
    if as_json:
        print_json([as_json_value(dead) for dead in found[:limit]])
        return
    if not found:
        say("no dead letters")
        return
    from pipeline.model.times import format_iso

    counts = Counter((dead.request.webhook_id or "-", _short(reason_of(dead), 120)) for dead in found)
    table(("webhook", "reason", "count"), [(*key, n) for key, n in counts.most_common(20)], right=("count",))
    echo()
    table(
        ("id", "webhook", "dead at", "attempts", "reason"),
        [
            (
                name_of(dead),
                dead.request.webhook_id or "-",
                format_iso(dead.dead_ms)[:19].replace("T", " "),
                dead.progress.attempt,
                _short(reason_of(dead), 60),
            )
            for dead in found[:limit]
        ],
        right=("attempts",),
    )
    if len(found) > limit:
        say(f"{len(found) - limit:,} more; --limit shows more, --json and `dlq export` all facts")


@dlq.command()
@on_state
@click.argument("id")
@json_option
def show(state: Path, id: str, as_json: bool) -> None:
    """Show one dead letter with its request, its last answer and its origin; a record with its message."""
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
            echo(f"{name:<11} {one_line(str(shown))}")
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
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; by default stdout.")
@click.option(
    "--records",
    is_flag=True,
    help="Only the records that could not be read, as a recording (NAME.rec.jsonl): `hookline replay` reads "
    "it by the present shapes, joined with what is known of users now.",
)
def export(state: Path, output: Path | None, records: bool, **wanted: Any) -> None:
    """Write dead letters as JSON lines, one complete object each."""
    from pipeline.model.process.private import write_private
    from pipeline.operate.dlq import records as recorded
    from pipeline.sources.files.recorded import NAMES, is_recording

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
    with open(write_private(output), "wb") as file:
        for line in lines:
            file.write(line)
            count += 1
    said = f"{counted(count, 'record' if records else 'dead letter')} written to {output}"
    if records and count:
        said += f": `hookline replay {output} -c ..` reads them by the present shapes, joined with what the"
        said += " job knows of users now"
    say(said)


@dlq.command()
@selection
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them, where nothing else selects.")
def replay(state: Path, ids: tuple[str, ...], everything: bool, **wanted: Any) -> int:
    """Owe the selected dead letters again, with their webhook-id: by IDS, by flags, or --all.

    A running job sends them at once; for a stopped one they are sent at the next start. What could not be
    rendered is rendered anew with the present config. Records that could not be read stay: `dlq export
    --records` writes them for `hookline replay`.
    """
    return act("replay", state, Selection(ids=ids, **wanted), everything, "to be sent again")


@dlq.command()
@selection
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them, where nothing else selects.")
def purge(state: Path, ids: tuple[str, ...], everything: bool, **wanted: Any) -> int:
    """Delete the selected dead letters for good; they stay counted as dead."""
    return act("purge", state, Selection(ids=ids, **wanted), everything, "to be deleted")


def _line(letter: DeadLetter) -> bytes:
    import orjson

    return orjson.dumps(as_json_value(letter), option=orjson.OPT_APPEND_NEWLINE)


def act(
    action: Literal["replay", "purge"], state: Path, selection: Selection, everything: bool, what: str
) -> int:
    """Do something with the selected dead letters: in the running job, or left for the next start."""
    if selection == Selection() and not everything:
        raise UsageError("select dead letters by id, --webhook, --reason, --since or --until, or say --all")
    done = change(state, action, selection)
    if done is None:
        say("no dead letters are selected")
        return Exit.PROBLEMS
    if done.number or not done.stay:
        when = " at the next start" if done.at_next_start else ""
        say(f"{counted(done.number, 'dead letter')} {what}{when}")
    if done.stay:
        say(
            f"{counted(done.stay, 'record')} that could not be read: left where it was. Mend the shape, "
            "then `hookline dlq export --records -o NAME.rec.jsonl` and `hookline replay NAME.rec.jsonl`"
        )
    return Exit.PROBLEMS if done.stay and not done.number else Exit.OK


def _short(text: str, length: int) -> str:
    text = one_line(text)
    return text if len(text) <= length else text[: length - 1] + "…"
