"""``hookline dlq``: dead letters, by webhook, time and reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from pipeline.cli.options import When, config_option, state_dir, state_option
from pipeline.cli.output import json_option, print_json, print_json_lines, say, table
from pipeline.model.errors import HooklineError, UsageError
from pipeline.model.exits import Exit
from pipeline.outbox.dead_letter_json import as_json_value, name_of, reason_of

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
        state_option,
        config_option,
    ):
        function = option(function)
    return function


def selected(
    state: Path, webhook: str | None, reason: str | None, since: int | None, until: int | None
) -> Iterator[DeadLetter]:
    """Yield the dead letters of the selection."""
    return (dead for _, dead in located(state, webhook, reason, since, until))


def located(
    state: Path, webhook: str | None, reason: str | None, since: int | None, until: int | None
) -> Iterator[tuple[Path, DeadLetter]]:
    """Yield the dead letters of the selection, each with the folder of its store."""
    from pipeline.outbox.view import dead_letters

    wanted = "" if webhook == "-" else webhook
    for store, dead in dead_letters(state):
        if wanted is not None and dead.request.webhook_id != wanted:
            continue
        if reason is not None and not reason_of(dead).startswith(reason):
            continue
        if (since is None or dead.dead_ms >= since) and (until is None or dead.dead_ms < until):
            yield store, dead


@click.group()
def dlq() -> None:
    """Look at dead letters, send them again, export or delete them."""


@dlq.command("list")
@selection
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Show at most so many."
)
@json_option
def list_(config: Path, state: Path | None, limit: int, as_json: bool, **wanted: Any) -> None:
    """List dead letters: how many for which reason, then the newest ones."""
    where = state_dir(config, state)
    found = sorted(selected(where, **wanted), key=lambda dead: dead.dead_ms, reverse=True)
    if as_json:
        print_json([as_json_value(dead) for dead in found[:limit]])
        return
    if not found:
        say("no dead letters")
        return
    from pipeline.model.times import format_iso

    counts = Counter((dead.request.webhook_id or "-", _short(reason_of(dead), 60)) for dead in found)
    table(("webhook", "reason", "count"), [(*key, n) for key, n in counts.most_common(20)], right=("count",))
    click.echo()
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
@config_option
@state_option
@click.argument("id")
@json_option
def show(config: Path, state: Path | None, id: str, as_json: bool) -> None:
    """Show one dead letter with its request, its last answer and its origin."""
    from pipeline.outbox.view import dead_letters

    for _, dead in dead_letters(state_dir(config, state)):
        if id in (name_of(dead), dead.request.message_id):
            break
    else:
        error = HooklineError(f"there is no dead letter `{id}`; `hookline dlq list` shows them")
        error.exit_code = 1
        raise error
    facts = as_json_value(dead)
    if as_json:
        print_json(facts)
        return
    request = facts.pop("request")
    for name, value in facts.items():
        if value is not None:
            shown = (
                f"{value['source']} offset {value['offset']} item {value['item']}"
                if name == "origin"
                else value
            )
            click.echo(f"{name:<11} {_one_line(str(shown))}")
    if request["method"]:
        click.echo(f"\n{request['method']} {_one_line(request['url'])}")
        for name, value in request["headers"]:
            click.echo(f"{name}: {_one_line(value)}")
    click.echo(f"\n{request['body']}")


@dlq.command()
@selection
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; by default stdout.")
def export(config: Path, state: Path | None, output: Path | None, **wanted: Any) -> None:
    """Write dead letters as JSON lines, one complete object each."""
    import orjson

    rows = (as_json_value(dead) for dead in selected(state_dir(config, state), **wanted))
    if output is None:
        print_json_lines(rows)
        return
    count = 0
    with output.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    say(f"{count:,} dead letters written to {output}")


@dlq.command()
@selection
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them, where nothing else selects.")
def replay(config: Path, state: Path | None, ids: tuple[str, ...], everything: bool, **wanted: Any) -> int:
    """Owe the selected dead letters again, with their webhook-id: by IDS, by flags, or --all.

    A running job sends them at once; for a stopped one they are sent at the next start. What could not be
    rendered is rendered anew with the present config. Records that could not be read stay: mend them and
    feed them to the source again (`dlq export`).
    """
    return change(
        "dlq-replay", "replay", state_dir(config, state), ids, everything, wanted, "to be sent again"
    )


@dlq.command()
@selection
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them, where nothing else selects.")
def purge(config: Path, state: Path | None, ids: tuple[str, ...], everything: bool, **wanted: Any) -> int:
    """Delete the selected dead letters for good; they stay counted as dead."""
    return change("dlq-purge", "purge", state_dir(config, state), ids, everything, wanted, "to be deleted")


def change(
    command: str,
    action: Literal["replay", "purge"],
    state: Path,
    ids: tuple[str, ...],
    everything: bool,
    wanted: dict[str, Any],
    what: str,
) -> int:
    """Do something with the selected dead letters: ask the running job, or leave it for the next start."""
    from pipeline.cli.state.asking import ask_or_leave

    if not ids and not everything and all(value is None for value in wanted.values()):
        raise UsageError("select dead letters by id, --webhook, --reason, --since or --until, or say --all")
    found = [
        (store, dead.key)
        for store, dead in located(state, **wanted)
        if not ids or name_of(dead) in ids or dead.request.message_id in ids
    ]
    if not found:
        say("no dead letters are selected")
        return Exit.PROBLEMS
    done = ask_or_leave(state, command, action, found)
    say(
        f"{len(found):,} dead letters {what} at the next start"
        if done is None
        else f"{done:,} dead letters {what}"
    )
    return Exit.OK


def _short(text: str, length: int) -> str:
    text = _one_line(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def _one_line(text: str) -> str:
    return re.sub(r"[^\x20-\x7e\xa0-\U0010ffff]", lambda c: c[0].encode("unicode_escape").decode(), text)
