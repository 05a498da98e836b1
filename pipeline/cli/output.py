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


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, to stdout.")


def echo(text: object = "", *, err: bool = False) -> None:
    """Write a text and a line end to stdout, or to stderr; what a terminal would act on is escaped."""
    _write(printable(str(text)), err)


def print_json(value: Any) -> None:
    """Write one JSON document and a line end to stdout."""
    _write(_json(value, indented=True), err=False)


def print_json_lines(values: Iterable[Any]) -> None:
    """Write one JSON document per line to stdout."""
    for value in values:
        _write(_json(value), err=False)


def _json(value: Any, *, indented: bool = False) -> str:
    import orjson

    from pipeline.model.json import as_utf8

    option = orjson.OPT_INDENT_2 if indented else 0
    try:
        raw = orjson.dumps(value, option=option)
    except orjson.JSONEncodeError:  # a name of a file or a variable's value that is no UTF-8
        raw = orjson.dumps(as_utf8(value), option=option)
    return printable_json(raw.decode())


def say(*texts: str) -> None:
    """Tell the person something; stderr, so that stdout stays data."""
    print_text(*texts, err=True)


def print_text(*texts: object, err: bool = False) -> None:
    """Write texts of words: on a terminal broken between them, with what stands out in them in colour."""
    stream = sys.stderr if err else sys.stdout
    for text in texts:
        _write(highlighted(fitted(printable(str(text)), room(stream)), stream), err, color=True)


def _write(text: str, err: bool, color: bool | None = None) -> None:
    try:
        click.echo(text, err=err, color=color)
    except OSError:
        # Talk that cannot be told (a closed pipe, a log on a full disk) must not change how a verb ends.
        if not err:
            raise
