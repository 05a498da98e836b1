"""``hookline init``: a project to start from."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from pipeline.cli.kinds import Place
from pipeline.cli.output import echo, say


@click.command()
@click.argument("directory", type=Place(file_okay=False), default=".")
def init(directory: Path) -> None:
    """Create a project that runs as it is: a config, a webhook with its tests, six lines of a stream.

    DIRECTORY is created if it does not exist. Nothing is overwritten.
    """
    from pipeline.operate.starting.project import write_project

    for path in write_project(directory):
        echo(path)
    change = "" if directory == Path() else f"  cd {quote(str(directory))}\n"
    say(
        f"Next:\n{change}"
        "  hookline test          # the webhook's tests\n"
        "  hookline receiver &    # shows what arrives, and checks it\n"
        "  hookline run           # two of the four events fire\n"
        "Then name your own stream in config/pipeline.yaml:\n"
        "  hookline sniff FILE    # identifies its shape, proposes the lines to write"
    )
