"""``hookline outbox``: pending requests on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import Actions, on_stores
from pipeline.cli.output import json_option, print_json, say, table
from pipeline.cli.state.exactly import as_counted, exactly, selecting, show_chosen
from pipeline.model.errors import UsageError
from pipeline.model.process.exits import Exit

due_option = click.option("--due", type=click.Choice(["now", "later"]), help="When it is due.")
selection = selecting("Of this webhook.", "Matched", due_option)
"""The flags that select what is owed."""


@click.group(cls=Actions)
def outbox() -> None:
    """List pending deliveries, send them now, or drop them."""


@outbox.command("list")
@selection
@click.option("--limit", type=click.IntRange(min=1), default=50, help="Show at most this many.")
@click.option("--after", metavar="CURSOR", help="Continue after the list that printed this cursor.")
@json_option
def list_(state: Path, limit: int, after: str | None, as_json: bool, **wanted: Any) -> None:
    """List pending requests on disk, in the order in which they are due.

    Requests in the memory of a running job are on disk after the end of the epoch, within about a second.
    """
    from pipeline.operate.kept.outbox import Owing, to_json
    from pipeline.operate.kept.owed_pages import page
    from pipeline.operate.kept.rows import last_answer

    shown = page(state, Owing(**wanted), after, limit, secs=None)
    rows = [to_json(one) for one in shown.rows]
    if as_json:
        print_json(rows)
        return
    if not rows:
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
                last_answer(one.progress) if row["attempts"] else "",
            )
            for one, row in zip(shown.rows, rows, strict=True)
        ],
        right=("attempts",),
        prose=("last answer",),
    )
    if shown.later is not None:
        say(f"there are more: {shown.looked_at:,} in all; --after {shown.later} goes on")


@outbox.command("retry-now")
@on_stores
@click.option("--webhook", metavar="ID", required=True, help="The webhook.")
def retry_now(state: Path, webhook: str) -> None:
    """Make the running job send pending deliveries of a webhook now, before they are due."""
    from pipeline.operate.kept.outbox import retry_now as retry

    retry(state, webhook)
    say(f"{webhook}: everything pending is due now")


@outbox.command()
@selection
@exactly
def drop(
    state: Path, everything: bool, dry_run: bool, digest: str | None, as_json: bool, **wanted: Any
) -> int:
    """Drop pending deliveries: they become dead letters with the reason `dropped`, which can be replayed.

    A stopped job does this at its next start.
    """
    from pipeline.operate.kept.outbox import Owing, choose
    from pipeline.operate.kept.outbox import drop as give_up

    owing = Owing(**wanted)
    if owing == Owing() and not everything:
        raise UsageError(
            "select by --webhook, --user, --status, --due, --since, --until or --text, or say --all"
        )
    if dry_run:
        return show_chosen(choose(state, owing), "request", "to be given up", as_json=as_json)

    done = give_up(state, owing, as_counted(digest))
    if as_json:
        print_json({"count": done.number if done else 0, "at_next_start": bool(done and done.at_next_start)})
    elif done is None:
        say("nothing that is selected waits on disk")
    else:
        say(f"{done.number:,} {'to be given up at the next start' if done.at_next_start else 'given up'}")
    return Exit.OK if done else Exit.PROBLEMS
