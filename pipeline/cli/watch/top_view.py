"""What `hookline top` shows and what its keys do, independent of any terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from pipeline.cli.page.colours import BOLD, DIM, REVERSE
from pipeline.cli.watch.top_rows import (
    BY_NAME,
    FIRST_DOWN,
    colour_of,
    cut_to,
    facts,
    fitting,
    head_lines,
    in_rows,
    longest_id,
    row_line,
    state_of,
    title_line,
)
from pipeline.model.words import counted
from pipeline.operate.running.top import TopRow, TopTable

HELP: Final = (
    "up down j k   move          PgUp PgDn g G   pages, first, last",
    "s  1-9        sort by the next column, by the n-th      r   the other way round",
    "/             show only what holds a text (Esc: all)",
    "enter         all facts of a webhook",
    "p             pause or resume it (asks)",
    "t             tap it: Ctrl-C comes back here",
    "space         freeze        q   end",
)


class Act(NamedTuple):
    """What a key asks the program for."""

    what: Literal["quit", "pause", "resume", "tap"]
    webhook: str = ""


@dataclass(slots=True)
class View:
    """What is shown, and how: changed by keys."""

    sort: str = "id"
    reverse: bool = False
    filter: str = ""
    mode: Literal["table", "filter", "row", "help", "ask"] = "table"
    frozen: bool = False
    message: str = ""
    """What is said in the last line, until the next key."""
    chosen: str = ""
    """The webhook that the cursor is on."""
    _top: int = 0
    _page: int = 10
    _ids: list[str] = field(default_factory=list)
    _shown: dict[str, TopRow] = field(default_factory=dict)

    def take(self, table: TopTable) -> None:
        """Sort and filter what a look has found, unless it is frozen."""
        if self.frozen and self._ids:
            return
        rows = self.rows(table)
        self._shown = {row.id: row for row in rows}
        self._ids = list(self._shown)
        if self.chosen not in self._shown:
            self.chosen = self._ids[0] if self._ids else ""

    def rows(self, table: TopTable) -> list[TopRow]:
        """Return the rows that pass the filter, sorted."""
        wanted = self.filter.lower()
        rows = [row for row in table.rows if wanted in f"{row.id} {state_of(row)} {row.error}".lower()]
        rows.sort(key=lambda row: row.id)
        rows.sort(key=BY_NAME[self.sort].by, reverse=(self.sort in FIRST_DOWN) == self.reverse)
        return rows

    # --- keys

    def press(self, key: str) -> Act | None:
        """Do what a key says; return what the program must do."""
        self.message = ""
        match self.mode:
            case "filter":
                self._type(key)
            case "ask":
                return self._answer(key)
            case "row" | "help":
                if key == "q":
                    return Act("quit")
                self.mode = "table"
            case "table":
                return self._press(key)
        return None

    def _press(self, key: str) -> Act | None:
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -self._page, "page down": self._page}
        moves |= {"g": -len(self._ids), "home": -len(self._ids), "G": len(self._ids), "end": len(self._ids)}
        names = list(BY_NAME)
        if key in moves:
            self._move(moves[key])
        elif key == "s":
            self._sort_by(names[(names.index(self.sort) + 1) % len(names)])
        elif key in "123456789":
            self._sort_by(names[int(key) - 1])
        elif key == "r":
            self.reverse = not self.reverse
        elif key == " ":
            self.frozen = not self.frozen
        elif key in ("/", "?", "h", "enter", "p"):
            self._enter(key)
        elif key == "escape":
            self.filter = ""
        elif key == "q":
            return Act("quit")
        elif key == "t" and self.chosen:
            return Act("tap", self.chosen)
        return None

    def _enter(self, key: str) -> None:
        if key == "/":
            self.mode = "filter"
        elif key in "?h":
            self.mode = "help"
        elif self.chosen and key == "enter":
            self.mode = "row"
        elif self.chosen and self._shown[self.chosen].state in ("active", "paused"):
            self.mode = "ask"
        elif self.chosen:
            state = self._shown[self.chosen].state
            self.message = f"{self.chosen} is {state}: `hookline webhook enable {self.chosen}` sends again"

    def _move(self, by: int) -> None:
        if self._ids:
            at = self._ids.index(self.chosen) + by
            self.chosen = self._ids[min(max(at, 0), len(self._ids) - 1)]

    def _sort_by(self, name: str) -> None:
        self.reverse = not self.reverse if name == self.sort else False
        self.sort = name

    def _type(self, key: str) -> None:
        if key in ("enter", "escape"):
            self.mode = "table"
            self.filter = "" if key == "escape" else self.filter
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif len(key) == 1 and key.isprintable():
            self.filter += key

    def _answer(self, key: str) -> Act | None:
        self.mode = "table"
        row = self._shown.get(self.chosen)
        if key not in "yY" or row is None:
            self.message = "nothing was changed"
            return None
        return Act("resume" if row.state == "paused" else "pause", row.id)

    # --- frames

    def frame(self, table: TopTable, width: int, height: int, note: str = "") -> list[str]:
        """Return as many lines as the terminal has, none wider; note: what is said in place of the state."""
        self.take(table)
        head = [row for line in head_lines(table.head, note) for row in in_rows(line, width)]
        room = max(1, height - len(head) - 2)
        self._page = max(1, room - 1)
        if self.mode == "help":
            body = [cut_to(line, width) for line in HELP]
        elif self.mode == "row" and self.chosen in self._shown:
            body = [cut_to(line, width) for line in facts(self._shown[self.chosen])]
        else:
            body = self._table(width, room)
        lines = [*head, "", *body][: height - 1]
        lines += [""] * (height - 1 - len(lines))
        return [
            *lines,
            DIM + cut_to(self._foot(), width) if not self.message else cut_to(self.message, width),
        ]

    def _table(self, width: int, room: int) -> list[str]:
        columns = fitting(width, longest_id(self._shown.values()))
        at = self._ids.index(self.chosen) if self._ids else 0
        self._top = min(max(self._top, at - (room - 2)), at, max(0, len(self._ids) - (room - 1)))
        shown = self._ids[self._top : self._top + room - 1]
        lines = [BOLD + title_line(columns, width, self.sort)]
        for name in shown:
            row = self._shown[name]
            colour = REVERSE if name == self.chosen else colour_of(row)
            lines.append(colour + row_line(columns, row, width))
        if not self._ids:
            lines.append("no webhook holds this text: Esc shows all" if self.filter else "no webhooks")
        return lines

    def _foot(self) -> str:
        if self.mode == "filter":
            return f"/{self.filter}_   enter: keep it   Esc: all"
        if self.mode == "ask":
            row = self._shown[self.chosen]
            if row.state == "paused":
                return f"resume {row.id}? {row.pending:,} pending will be sent (y/n)"
            return f"pause {row.id}? {row.pending:,} pending and what comes are kept (y/n)"
        if self.mode in ("row", "help"):
            return "any key: back   q: end"
        parts = [counted(len(self._ids), "webhook"), f"by {self.sort}"]
        parts += [f"/{self.filter}"] * bool(self.filter) + ["frozen"] * self.frozen
        return "  ".join([*parts, "?: keys", "q: end"])
