"""``hookline outbox``: what is owed and waits on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import config_option, state_dir, state_option
from pipeline.cli.output import json_option, print_json, say, table
from pipeline.model.errors import UsageError
from pipeline.model.exits import Exit

if TYPE_CHECKING:
    from pipeline.outbox.view import Owed


@click.group()
def outbox() -> None:
    """Look at what is owed, send it now, or give it up."""


@outbox.command("list")
@config_option
@state_option
@click.option("--webhook", metavar="ID", help="Of this webhook.")
@click.option("--user", metavar="ID", help="Of this user.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Show at most so many."
)
@json_option
def list_(
    config: Path, state: Path | None, webhook: str | None, user: str | None, limit: int, as_json: bool
) -> None:
    """List requests that wait on disk, the one that is due first first.

    What a running job holds in memory is on disk after the epoch's end, a second or so.
    """
    found = list(selected(state_dir(config, state), webhook, user))
    found.sort(key=lambda owed: (owed.progress.due_ms, owed.request.created_ms))
    rows = [as_json_value(owed) for owed in found[:limit]]
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
@config_option
@state_option
@click.option("--webhook", metavar="ID", required=True, help="The webhook.")
def retry_now(config: Path, state: Path | None, webhook: str) -> None:
    """Let the running job send what waits for a webhook now, whenever it is due."""
    from pipeline.admin.socket import ask

    ask(state_dir(config, state), "outbox-retry-now", webhook=webhook)
    say(f"{webhook}: everything that waits is due now")


@outbox.command()
@config_option
@state_option
@click.option("--webhook", metavar="ID", help="Of this webhook.")
@click.option("--user", metavar="ID", help="Of this user.")
@click.option("--all", "everything", is_flag=True, help="All of them, where nothing else selects.")
def drop(config: Path, state: Path | None, webhook: str | None, user: str | None, everything: bool) -> int:
    """Give up what waits: it becomes dead letters with the reason `dropped`, which can be replayed.

    A stopped job does it at its next start.
    """
    from pipeline.cli.state.asking import ask_or_leave

    if webhook is None and user is None and not everything:
        raise UsageError("select by --webhook or --user, or say --all")
    where = state_dir(config, state)
    found = [(owed.store, owed.row) for owed in selected(where, webhook, user)]
    if not found:
        say("nothing that is selected waits on disk")
        return Exit.PROBLEMS
    done = ask_or_leave(where, "outbox-drop", "drop", found)
    say(f"{len(found):,} to be given up at the next start" if done is None else f"{done:,} given up")
    return Exit.OK


def selected(state: Path, webhook: str | None, user: str | None) -> Iterator[Owed]:
    """Yield the selected requests.

    A request's user is ``u:`` and a user id or ``a:`` and an anonymous id; here both are ids.
    """
    from pipeline.outbox.view import owed

    for each in owed(state, webhook):
        if user is None or each.request.user[2:] == user:
            yield each


def as_json_value(owed: Owed) -> dict[str, Any]:
    """Return a waiting request as JSON data; secrets are shown as ``${NAME}``."""
    from pipeline.model.times import format_iso
    from pipeline.outbox.dead_letter_json import request_json

    request, progress = owed.request, owed.progress
    return {
        "webhook": request.webhook_id,
        "webhook_id": request.message_id,
        "user": request.user[2:] or None,
        "attempts": progress.attempt,
        "created_at": format_iso(request.created_ms),
        "due_at": format_iso(progress.due_ms) if progress.due_ms else None,
        "status": progress.status or None,
        "response": progress.excerpt or None,
        "request": request_json(request, request.body),
    }
