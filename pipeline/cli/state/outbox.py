"""``hookline outbox``: what is owed and waits on disk."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.options import Actions, on_state
from pipeline.cli.output import json_option, print_json, say, table
from pipeline.model.errors import UsageError
from pipeline.model.process.exits import Exit


@click.group(cls=Actions)
def outbox() -> None:
    """Look at what is owed, send it now, or give it up."""


@outbox.command("list")
@on_state
@click.option("--webhook", metavar="ID", help="Of this webhook.")
@click.option("--user", metavar="ID", help="Of this user.")
@click.option("--limit", type=click.IntRange(min=1), default=50, help="Show at most so many.")
@json_option
def list_(state: Path, webhook: str | None, user: str | None, limit: int, as_json: bool) -> None:
    """List requests that wait on disk, the one that is due first first.

    What a running job holds in memory is on disk after the epoch's end, a second or so.
    """
    from pipeline.operate.outbox import owed, to_json

    found = owed(state, webhook, user)
    rows = [to_json(one) for one in found[:limit]]
    if as_json:
        print_json(rows)
        return
    if not found:
        say("nothing waits on disk")
        return
    table(
        ("webhook", "webhook-id", "user", "attempts", "due", "last answer"),
        [
            (
                row["webhook"],
                row["webhook_id"],
                row["user"] or "",
                row["attempts"],
                (row["due_at"] or "now")[:19].replace("T", " "),
                row["status"] or "",
            )
            for row in rows
        ],
        right=("attempts",),
    )
    if len(found) > limit:
        say(f"{len(found) - limit:,} more; --limit shows more")


@outbox.command("retry-now")
@on_state
@click.option("--webhook", metavar="ID", required=True, help="The webhook.")
def retry_now(state: Path, webhook: str) -> None:
    """Let the running job send what waits for a webhook now, whenever it is due."""
    from pipeline.operate.outbox import retry_now as retry

    retry(state, webhook)
    say(f"{webhook}: everything that waits is due now")


@outbox.command()
@on_state
@click.option("--webhook", metavar="ID", help="Of this webhook.")
@click.option("--user", metavar="ID", help="Of this user.")
@click.option("--all", "everything", is_flag=True, help="All of them, where nothing else selects.")
def drop(state: Path, webhook: str | None, user: str | None, everything: bool) -> int:
    """Give up what waits: it becomes dead letters with the reason `dropped`, which can be replayed.

    A stopped job does it at its next start.
    """
    from pipeline.operate.outbox import drop as give_up

    if webhook is None and user is None and not everything:
        raise UsageError("select by --webhook or --user, or say --all")
    done = give_up(state, webhook, user)
    if done is None:
        say("nothing that is selected waits on disk")
        return Exit.PROBLEMS
    say(f"{done.number:,} {'to be given up at the next start' if done.at_next_start else 'given up'}")
    return Exit.OK
