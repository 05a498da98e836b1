"""Changing exactly what was counted before: flags shared by `dlq` and `outbox`, and their dry runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli.kinds import WHEN
from pipeline.cli.options import flags, on_stores, status_option
from pipeline.cli.output import json_option, print_json, say, table
from pipeline.cli.page.lines import short
from pipeline.model.process.exits import Exit
from pipeline.model.words import counted

if TYPE_CHECKING:
    from pipeline.operate.kept.chosen import Chosen

F = TypeVar("F", bound=Callable[..., Any])


def selecting(webhook: str, then: str, *own: Callable[[F], F]) -> Callable[[F], F]:
    """Return the flags that select stored requests.

    webhook: the help of that flag. then: what became of them at the times that may be given. own: the flags
    of one kind of them.
    """
    return flags(
        click.option("--text", metavar="TEXT", help="With this text in the body; case is ignored."),
        click.option("--user", metavar="ID", help="Of this user."),
        click.option("--until", type=WHEN, help=f"{then} before this time."),
        click.option("--since", type=WHEN, help=f"{then} at or after this time: a date, or 2h, 3d ago."),
        status_option,
        *own,
        click.option("--webhook", metavar="ID", help=webhook),
        on_stores,
    )


exactly = flags(
    json_option,
    click.option(
        "--digest", metavar="HEX", help="Only if the selection is exactly the one that --dry-run counted."
    ),
    click.option("--dry-run", is_flag=True, help="Count them by webhook and reason; change nothing."),
    click.option("--all", "everything", is_flag=True, help="Select all, if nothing else is given."),
)
"""The flags of what changes stored requests: all, shown first, exactly what was shown."""


def as_counted(digest: str | None) -> Callable[[Chosen], None]:
    """Return what raises Moved where these are not exactly those that were counted under this digest."""
    from pipeline.operate.kept.chosen import ShownSelections

    def check(chosen: Chosen) -> None:
        if digest is not None:
            ShownSelections().exactly(chosen, digest)

    return check


def show_chosen(chosen: Chosen, noun: str, what: str, *, as_json: bool) -> int:
    """Print what would be changed, by webhook and reason; return the exit code: whether there is any."""
    facts = chosen.to_json()
    if as_json:
        print_json(facts)
    elif chosen.rows:
        table(
            ("webhook", "reason", "count"),
            [(one["webhook"], short(one["reason"], 120), one["count"]) for one in facts["by_reason"]],
            right=("count",),
            prose=("reason",),
        )
        say(f"{counted(len(chosen.rows), noun)} {what}; just these: --digest {facts['digest']}")
    else:
        say(f"no {noun}s are selected")
    if chosen.stay and not as_json:
        say(f"{counted(chosen.stay, 'record')} that could not be read would stay")
    return Exit.OK if chosen.rows else Exit.PROBLEMS
