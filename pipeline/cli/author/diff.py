"""``hookline diff``: what another config would have sent for a recorded stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.kinds import ConfigDir
from pipeline.cli.output import echo, json_option, print_json, say, table
from pipeline.model.errors import UsageError
from pipeline.model.printable import one_line
from pipeline.model.process.exits import Exit
from pipeline.model.words import counted

if TYPE_CHECKING:
    from pipeline.model.records import Invalid
    from pipeline.operate.trials.diff import Difference


MARKDOWN = "markdown"
"""What is printed, where `--format` names no shape of records."""


@click.command()
@click.argument("old", type=ConfigDir())
@click.argument("new", type=ConfigDir())
@click.option(
    "--stream", "streams", multiple=True, required=True, metavar="PATH", help="Recording to run both over."
)
@click.option(
    "--format",
    metavar="NAME",
    help="Shape of the records: a built-in or a custom one; by default that of the new config's source. "
    "Or `markdown`: print a comment for a pull request.",
)
@click.option("--samples", type=click.IntRange(0), default=3, help="How many of each kind to show.")
@click.option("--exit-code", is_flag=True, help="Exit 1 if there is a difference.")
@json_option
def diff(
    old: Path,
    new: Path,
    streams: tuple[str, ...],
    samples: int,
    exit_code: bool,
    as_json: bool,
    format: str | None,
) -> int:
    """Show which deliveries would be added, removed or changed from config OLD to config NEW.

    Both are run on the recording in memory, as in the job; nothing is sent.
    """
    from pipeline.operate.trials import diff as comparing
    from pipeline.operate.trials.numbers import LineNumbers

    as_markdown = format == MARKDOWN
    if as_markdown and as_json:
        raise UsageError("--format markdown and --json exclude one another")
    unread: list[Invalid] = []
    found = comparing.diff(old, new, streams, samples, None if as_markdown else format, unread.append)
    if unread:
        place = LineNumbers(streams).told(unread[0].origin)
        told = f"not understood, and in no count: {counted(len(unread), 'record')}, the first"
        say(one_line(f"{told} at {place}: {unread[0].reason}"))
    if as_json:
        print_json({webhook: one.to_json() for webhook, one in found.items()})
    elif as_markdown:
        from pipeline.cli.author.reports import markdown

        echo(markdown(found).rstrip())
    else:
        tell(found)
    return Exit.PROBLEMS if exit_code and any(one.differs for one in found.values()) else Exit.OK


def tell(found: dict[str, Difference]) -> None:
    """Print the counts, then samples."""
    from pipeline.operate.trials.diff import KINDS

    rows = [(webhook, *[one.counts[kind] for kind in KINDS]) for webhook, one in found.items()]
    table(("webhook", *KINDS), rows, right=KINDS)
    for webhook, one in found.items():
        for kind in KINDS:
            for old, new in one.samples.get(kind, []):
                echo(f"\n{webhook}: {kind}")
                for mark, shown in (("-", old), ("+", new)):
                    if shown is not None:
                        echo(f"{mark} {shown.line()}")
