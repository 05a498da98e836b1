"""``hookline help``: what a verb does, and what config files may contain."""

from __future__ import annotations

import os
import sys

import click

from pipeline.cli.page.help_pages import Context
from pipeline.model.errors import UsageError

FIELDS = "fields"


@click.command()
@click.argument("words", nargs=-1, metavar="[VERB...]")
@click.pass_context
def help(context: click.Context, words: tuple[str, ...]) -> None:
    """Explain a verb, as `hookline VERB --help` does; without one, list all.

    `hookline help fields` shows everything that webhooks, labels, shapes and pipeline.yaml may hold.
    """
    if words == (FIELDS,):
        show_fields()
        return
    root = context.find_root()
    command: click.Command = root.command
    around = root
    for number, word in enumerate(words):
        if not isinstance(command, click.Group):
            raise UsageError(f"`hookline {' '.join(words[:number])}` has no verbs of its own")
        _, found, _ = command.resolve_command(around, [word])  # says what was meant where there is none
        assert found is not None
        command, around = found, Context(found, info_name=word, parent=around)
    click.echo(command.get_help(around))


def show_fields() -> None:
    """Print the reference of config files: laid out on a terminal, as Markdown elsewhere."""
    from pipeline.operate.starting.shipped import reference

    text = reference()
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    os.environ.setdefault("LESS", "FRX")  # else it shows colours as signs
    console = Console()
    with console.pager(styles=True):
        console.print(Markdown(text))
