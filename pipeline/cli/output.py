"""How verbs speak: data to stdout as text, table or JSON; talk to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from pipeline.model.printable import one_line, printable, printable_json

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """Add ``--json`` as the parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, to stdout.")(
        function
    )


def echo(text: object = "", *, err: bool = False) -> None:
    """Write a text and a line end to stdout, or to stderr; what a terminal would act on is escaped."""
    click.echo(printable(str(text)), err=err)


def print_json(value: Any) -> None:
    """Write one JSON document and a line end to stdout."""
    import orjson

    click.echo(printable_json(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()))


def print_json_lines(values: Iterable[Any]) -> None:
    """Write one JSON document per line to stdout."""
    import orjson

    for value in values:
        click.echo(printable_json(orjson.dumps(value).decode()))


def say(text: str) -> None:
    """Tell the person something; stderr, so that stdout stays data."""
    echo(text, err=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Print a table to stdout; the columns named in ``right`` hold numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*[f"{cell:,}" if isinstance(cell, int) else one_line(str(cell)) for cell in row])
    # Without markup: what stands in a cell is shown as it is.
    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, 100)
    console.print(made)
