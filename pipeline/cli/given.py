"""The flags with which a person gives a verb an event and a user."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import F
from pipeline.model.errors import GivenError
from pipeline.model.files.plain_file import MOST, read_given
from pipeline.model.findings import Finding

if TYPE_CHECKING:
    from pipeline.operate.trials.given import Given, Text

STDIN = Path("-")
FILE = click.Path(path_type=Path, allow_dash=True, exists=True, dir_okay=False)
format_option = click.option(
    "--format",
    metavar="NAME",
    help="Shape of the records: a built-in or a custom one; by default what the config says of its source.",
)
user_option = click.option(
    "--user",
    "user_file",
    type=FILE,
    help='File with the user: {"id": .., "properties": {..}}, or the properties alone.',
)


def event_option(*, required: bool) -> Callable[[F], F]:
    """Add ``--event``: the record."""
    told = "File with the record as JSON (any shape that a source takes); - is stdin."
    return click.option("--event", "event_file", type=FILE, required=required, help=told)


line_option = click.option(
    "--line",
    type=click.IntRange(1),
    metavar="N",
    help="With --event: the n-th line of the file, whose user is as the lines before it say.",
)


def read(
    config: Path,
    event_file: Path,
    line: int | None,
    user_file: Path | None,
    format: str | None,
    *,
    happens_now: bool = False,
) -> Given:
    """Return what the flags name. Raises GivenError for what cannot be understood, UsageError for no line.

    happens_now: a record that says no time is one of this moment.
    """
    from pipeline.operate.trials.given import formats_for, understand, with_user
    from pipeline.operate.trials.lines import line_of

    user = None if user_file is None else read_text(user_file)
    now = time.time_ns() // 1_000_000 if happens_now else None
    formats = formats_for(config, format)
    if line is None:
        return understand(read_text(event_file), user, formats, now)
    found = line_of(str(event_file), line, formats, now)
    return found if user is None else with_user(found, user)


def read_text(path: Path) -> Text:
    """Return what a file, a pipe or stdin holds. Raises GivenError for what is too large or no file."""
    from pipeline.operate.trials.given import Text

    # A pipe of the shell may be given, so it is no plain file; but /dev/zero has no end.
    try:
        raw = sys.stdin.buffer.read(MOST + 1) if path == STDIN else read_given(path)
    except ValueError as error:
        raise GivenError([Finding(str(path), 0, 0, "record", f"it {error}")]) from None
    if len(raw) > MOST:
        raise GivenError([Finding(str(path), 0, 0, "record", f"it is larger than {MOST:,} bytes")])
    return Text(str(path), raw)
