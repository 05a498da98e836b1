"""The pages of --help: as wide as the terminal, no word broken, every option's value described."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import click

from pipeline.cli.kinds import Words
from pipeline.cli.page.lines import cells, wrapped

NARROW: Final = 72
"""Columns below which long flags have a line of their own."""
RANGE: Final = re.compile(r"\b(?:(\d+)<=)?x(?:>=(\d+)|<=(\d+))")
"""Bounds as click writes them."""


class Pages(click.HelpFormatter):
    """Writes the parts of a page."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how a verb is called."""
        self.write("\n".join(wrapped(f"{prog} {args}".strip(), self.width, "Usage: ", " " * 9)) + "\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        blank = " " * self.current_indent
        paragraphs = re.split(r"\n[ \t]*\n", text.strip())
        self.write("\n\n".join("\n".join(wrapped(one, self.width, blank, blank)) for one in paragraphs))
        self.write("\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write terms, and beside or below each what it is."""
        found = [(term, RANGE.sub(bounds, text)) for term, text in rows]
        most = col_max if self.width >= NARROW else 18
        first = min(max((cells(term) for term, _ in found), default=0), most) + col_spacing
        blank = " " * self.current_indent
        for term, text in found:
            below = blank + " " * first
            begin = f"{blank}{term}"
            if cells(term) > first - col_spacing:
                self.write(f"{begin}\n")
                begin = below
            else:
                begin += " " * (len(below) - cells(begin))
            self.write("\n".join(line.rstrip() for line in wrapped(text, self.width, begin, below)) + "\n")


def bounds(found: re.Match[str]) -> str:
    """Return what `RANGE` has found in words."""
    low, least, high = found.groups()[-3:]
    if low:
        return f"{low} to {high}"
    return f"at least {least}" if least else f"at most {high}"


class Context(click.Context):
    """How one verb is called; its help is written by `Pages`."""

    formatter_class = Pages


def prepare(command: click.Command) -> None:
    """Have a verb, and those below it, write such pages; what flags want is named alike, and not empty."""
    for one in with_subcommands(command):
        one.context_class = Context
        for parameter in one.params:
            if parameter.metavar is None:
                parameter.metavar = _wants(parameter)
            # One value alone may be empty: `webhook set ID PATH ''`.
            if parameter.type is click.STRING and (
                isinstance(parameter, click.Option) or parameter.nargs != 1
            ):
                parameter.type = Words()
        if isinstance(one, click.Group):
            one.subcommand_metavar = "VERB ..."


def with_subcommands(command: click.Command) -> Iterator[click.Command]:
    """Yield a verb and those below it."""
    yield command
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from with_subcommands(inner)


def _wants(parameter: click.Parameter) -> str | None:
    if not isinstance(parameter, click.Option) or parameter.is_flag:
        return None
    kind = parameter.type
    if isinstance(kind, click.types.IntParamType):
        return "N"
    if isinstance(kind, click.Path):
        return "DIR" if not kind.file_okay else "FILE"
    return None
