"""Tables no wider than the terminal: no word is broken, no column left out.

Where the columns do not fit side by side, texts go on below themselves; then the first column has a line of
its own; then each row is a list of its fields. In a pipe a row is one line, however long.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import click

from pipeline.cli.page.colours import BOLD, painted
from pipeline.cli.page.lines import cells, room, wrapped
from pipeline.model.printable import one_line
from pipeline.telemetry.screen import named_columns

if TYPE_CHECKING:
    from pipeline.model.json import Value

GAP: Final = "  "
NARROWEST: Final = 24
"""Columns below which a text is not pressed."""


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Value]],
    *,
    right: Collection[str] = (),
    prose: Collection[str] = (),
    colours: Mapping[str, str] | None = None,
) -> None:
    """Print a table to stdout.

    right: columns that hold numbers; prose: those whose texts may go on below; colours: of numbers, by their
    column, that are not 0.
    """
    texts = [[_text(cell) for cell in row] for row in rows]
    width = _width()
    for line in laid_out(columns, texts, width, right=right, prose=prose, colours=colours or {}):
        click.echo(line, color=True)


def _text(cell: Value) -> str:
    return f"{cell:,}" if isinstance(cell, int) else one_line(str(cell))


def _width() -> int | None:
    """Return the columns of the terminal; COLUMNS is obeyed in a pipe, too: so `watch` says how many."""
    return room(sys.stdout) or named_columns() or None


def laid_out(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None,
    *,
    right: Collection[str] = (),
    prose: Collection[str] = (),
    colours: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the lines of a table; see `table`."""
    wide = [max([cells(name), *(cells(row[at]) for row in rows)]) for at, name in enumerate(columns)]
    sheet = _Sheet(columns, rows, right, colours or {})
    if width is None or _sum(wide) <= width:
        return sheet.side_by_side(wide)
    pressed = _pressed(columns, rows, wide, width, prose)
    if pressed is not None:
        return sheet.side_by_side(pressed)
    rest = [wide[0], *(_pressed(columns[1:], [row[1:] for row in rows], wide[1:], width - 2, prose) or [])]
    if len(rest) == len(wide) > 2:
        return sheet.first_above(rest)
    return sheet.one_by_one(width)


def _sum(wide: Sequence[int]) -> int:
    return sum(wide) + len(GAP) * (len(wide) - 1)


def _pressed(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    wide: Sequence[int],
    width: int,
    prose: Collection[str],
) -> list[int] | None:
    """Return the widths with texts as narrow as it takes; None where that does not help."""
    found = list(wide)
    for at in sorted((at for at, name in enumerate(columns) if name in prose), key=lambda at: -wide[at]):
        over = _sum(found) - width
        words = max((cells(word) for row in rows for word in row[at].split()), default=0)
        found[at] = min(wide[at], max(found[at] - max(0, over), NARROWEST, words, cells(columns[at])))
    return found if _sum(found) <= width else None


class _Sheet:
    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        right: Collection[str],
        colours: Mapping[str, str],
    ) -> None:
        self._columns, self._rows, self._right, self._colours = columns, rows, right, colours

    def side_by_side(self, wide: Sequence[int]) -> list[str]:
        head = painted(self._line(self._columns, wide), BOLD)
        lines = [head, "─" * _sum(wide)]
        for row in self._rows:
            lines += self._row(row, wide)
        return lines

    def first_above(self, wide: Sequence[int]) -> list[str]:
        head = painted(self._line(self._columns[1:], wide[1:], 1), BOLD)
        lines = [painted(self._columns[0], BOLD), f"  {head}", "─" * (2 + _sum(wide[1:]))]
        for row in self._rows:
            lines += [row[0], *(f"  {line}" for line in self._row(row[1:], wide[1:], 1))]
        return lines

    def one_by_one(self, width: int) -> list[str]:
        names = max(map(cells, self._columns))
        lines: list[str] = []
        for row in self._rows:
            lines += [""] * bool(lines)
            for name, cell in zip(self._columns, row, strict=True):
                blank = " " * (names - cells(name))
                begin = f"{name}{blank}{GAP}"
                told = wrapped(cell, width, begin, " " * len(begin))
                lines += [f"{painted(name, BOLD)}{told[0][len(name) :]}".rstrip(), *told[1:]]
        return lines

    def _row(self, row: Sequence[str], wide: Sequence[int], begin: int = 0) -> list[str]:
        parts = [
            [cell] if cells(cell) <= room_for else wrapped(cell, room_for)
            for cell, room_for in zip(row, wide, strict=True)
        ]
        deep = max(map(len, parts))
        each = [[part[at] if at < len(part) else "" for part in parts] for at in range(deep)]
        return [self._line(line, wide, begin, is_head=False) for line in each]

    def _line(
        self, texts: Sequence[str], wide: Sequence[int], begin: int = 0, *, is_head: bool = True
    ) -> str:
        found = []
        for at, (text, room_for) in enumerate(zip(texts, wide, strict=True), begin):
            name = self._columns[at]
            blank = " " * (room_for - cells(text))
            colour = self._colours.get(name)
            shown = painted(text, colour) if colour and not is_head and text not in ("0", "") else text
            found.append(f"{blank}{shown}" if name in self._right else f"{shown}{blank}")
        return GAP.join(found).rstrip()
