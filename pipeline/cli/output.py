"""How verbs speak: data to stdout as text, table or JSON; talk to stderr.

On a terminal what is told a person is as wide as that; what may be copied is printed as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from pipeline.cli.page.colours import highlighted
from pipeline.cli.page.lines import fitted, room
from pipeline.cli.page.tables import table as table
from pipeline.model.printable import printable, printable_json

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
    print_text(text, err=True)


def print_text(text: object = "", *, err: bool = False) -> None:
    """Write a text of words: on a terminal broken between them, with what stands out in it in colour."""
    stream = sys.stderr if err else sys.stdout
    shown = highlighted(fitted(printable(str(text)), room(stream)), stream)
    click.echo(shown, err=err, color=True)
