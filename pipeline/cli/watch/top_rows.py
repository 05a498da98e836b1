"""The rows of `hookline top` as text: short numbers, the columns that fit, every field of one webhook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich.cells import cell_len, set_cell_size

from pipeline.cli.page.colours import BOLD, DIM, PLAIN, RED, YELLOW
from pipeline.model.printable import one_line
from pipeline.operate.running.top import TopHead, TopRow

NONE: Final = "--"
NARROWEST_ID: Final = 16


def rate(value: float | None) -> str:
    """Return a rate in few signs; ``--`` where it is not known."""
    if value is None:
        return NONE
    if value >= 10_000:
        return f"{value / 1000:.0f}k"
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def count(value: int) -> str:
    """Return a number in few signs."""
    if value < 10_000:
        return f"{value:,}"
    unit, sign = next(one for one in ((10**9, "G"), (10**6, "M"), (1000, "k")) if value >= one[0])
    return f"{value / unit:.1f}{sign}" if value < 100 * unit else f"{value / unit:.0f}{sign}"


def span(secs: float | None) -> str:
    """Return ``5s``, ``12m``, ``3h``, ``2d``."""
    if secs is None:
        return ""
    for size, sign in ((86_400, "d"), (3600, "h"), (60, "m")):
        if secs >= 2 * size:
            return f"{secs / size:.0f}{sign}"
    return f"{secs:.0f}s"


def size(value: int) -> str:
    """Return bytes as GiB or MiB."""
    return f"{value / (1 << 30):.1f} GiB" if value >= 1 << 30 else f"{value / (1 << 20):.0f} MiB"


class Column(NamedTuple):
    """One column; the first ones are shown also where there is little room."""

    name: str
    title: str
    width: int
    text: Callable[[TopRow], str]
    by: Callable[[TopRow], Any]
    """What it is sorted by."""
    left: bool = False


def state_of(row: TopRow) -> str:
    """Return what is the matter with a webhook; ``well`` where nothing is."""
    return row.state if row.state != "active" else row.receiver


def _known(value: float | None) -> float:
    return -1.0 if value is None else value


COLUMNS: Final[tuple[Column, ...]] = (
    Column("id", "WEBHOOK", 0, lambda row: row.id, lambda row: row.id, left=True),
    Column("state", "STATE", 8, state_of, lambda row: (state_of(row) == "well", state_of(row)), left=True),
    Column("delivered", "SENT/s", 6, lambda r: rate(r.delivered_rate), lambda r: _known(r.delivered_rate)),
    Column("pending", "PENDING", 7, lambda row: count(row.pending), lambda row: row.pending),
    Column("dead", "DEAD", 6, lambda row: count(row.dead), lambda row: row.dead),
    Column("retry", "RETRY/s", 7, lambda row: rate(row.retry_rate), lambda row: _known(row.retry_rate)),
    Column("p99", "P99ms", 6, lambda row: f"{row.p99_ms:.0f}", lambda row: row.p99_ms),
    Column("matched", "MATCH/s", 7, lambda r: rate(r.matched_rate), lambda r: _known(r.matched_rate)),
    Column("oldest", "OLDEST", 6, lambda row: span(row.oldest_secs), lambda row: _known(row.oldest_secs)),
    Column("p50", "P50ms", 6, lambda row: f"{row.p50_ms:.0f}", lambda row: row.p50_ms),
    Column(
        "flying", "FLYING", 9, lambda row: f"{row.in_flight}/{row.limit}", lambda row: row.in_flight
    ),
    Column("dead_rate", "DEAD/s", 6, lambda row: rate(row.dead_rate), lambda row: _known(row.dead_rate)),
    Column("disk", "DISK", 6, lambda row: count(row.on_disk), lambda row: row.on_disk),
    Column(
        "error", "LAST FAILURE", 14, lambda r: f"{r.status or ''} {r.error}".strip(), lambda r: r.error,
        left=True,
    ),
)  # fmt: skip
BY_NAME: Final[Mapping[str, Column]] = {column.name: column for column in COLUMNS}
FIRST_DOWN: Final = frozenset({"id", "state", "error"})
"""Columns that are sorted from the least; numbers from the most."""


def head_lines(head: TopHead, note: str = "") -> list[str]:
    """Return what is said of the job as a whole."""
    processes = f"{head.processes} processes, " if head.processes > 1 else ""
    first = note or f"{processes}up {span(head.elapsed_secs)}, config {head.config[:12]}"
    lag = f", {head.lag:,} not read yet" if head.lag else ""
    lag += f", {size(head.left_bytes)} to read" if head.left_bytes else ""
    lines = [
        f"hookline top  {head.state}  {first}",
        f"read {rate(head.read_rate)}/s ({count(head.read)}), invalid {rate(head.invalid_rate)}/s "
        f"({count(head.invalid)}){lag}  memory {size(head.resident_bytes)}, "
        f"disk {size(head.disk_free_bytes)} free",
    ]
    if head.waits:
        lines.append(f"{YELLOW}nothing is read: {one_line(head.waits)}")
    if head.problems:
        lines.append(f"{RED}an edit of the config is refused: {one_line(head.problems)}")
    return lines


def longest_id(rows: Iterable[TopRow]) -> int:
    """Return how many cells the longest id takes."""
    return max((cell_len(row.id) for row in rows), default=0)


def fitting(width: int, ids: int) -> list[Column]:
    """Return the columns that fit, in their order. ids: cells that the longest id takes."""
    # Up to a third is theirs: the ids of a family begin alike.
    first = COLUMNS[0]._replace(width=max(NARROWEST_ID, min(ids, width // 3)))
    left = width - first.width
    found = [first]
    for column in COLUMNS[1:]:
        if left < column.width + 2:
            break
        left -= column.width + 2
        found.append(column)
    return found


def _widths(columns: Sequence[Column], width: int) -> Iterable[tuple[Column, int]]:
    spare = width - sum(column.width + 2 for column in columns[1:])
    is_last = columns[-1].name == "error"
    # What is over goes to the name, and where the last failure is shown the half of it there.
    more = max(0, spare - max(32, columns[0].width)) if is_last else 0
    for column in columns:
        if column.name == "id":
            yield column, spare - more
        else:
            yield column, column.width + (more if column.name == "error" else 0)


def title_line(columns: Sequence[Column], width: int, sort: str = "") -> str:
    """Return the names of the columns; that which is sorted by has a mark."""
    titles = [(column, f"{column.title}{'*' if column.name == sort else ''}") for column in columns]
    by_name = {column.name: title for column, title in titles}
    return _joined([(column, by_name[column.name], wide) for column, wide in _widths(columns, width)])


def row_line(columns: Sequence[Column], row: TopRow, width: int) -> str:
    """Return a webhook as one line."""
    return _joined([(column, one_line(column.text(row)), wide) for column, wide in _widths(columns, width)])


def _joined(cells: Iterable[tuple[Column, str, int]]) -> str:
    line = ""
    for column, text, wide in cells:
        # The mark of a title takes one of the two blanks before it.
        gap = 1 if not column.left and cell_len(text) == wide + 1 else 2
        cut = cut_to(text, wide + 2 - gap)
        room = " " * (wide - cell_len(cut))
        line += " " * gap * bool(line) + (f"{cut}{room}" if column.left else f"{room}{cut}")
    return line


def colour_of(row: TopRow) -> str:
    """Return the colour of a row: red where a receiver fails, yellow where a person has stopped it."""
    state = state_of(row)
    if state in ("down", "gone", "failing"):
        return RED
    return YELLOW if state in ("paused", "disabled") else PLAIN


def facts(row: TopRow) -> list[str]:
    """Return everything that is known of a webhook."""
    return [
        f"{BOLD}{one_line(row.id)}",
        f"state           {row.state}, receiver {row.receiver}",
        f"matched         {row.matched:,}  ({rate(row.matched_rate)}/s)",
        f"delivered       {row.delivered:,}  ({rate(row.delivered_rate)}/s), "
        f"retries {rate(row.retry_rate)}/s",
        f"dead            {row.dead:,}  ({rate(row.dead_rate)}/s)",
        f"suppressed      {row.suppressed:,}",
        f"pending         {row.pending:,}, of these on disk only {row.on_disk:,}; oldest in memory "
        f"{span(row.oldest_secs) or NONE}",
        f"in flight       {row.in_flight} of {row.limit}",
        f"match to answer p50 {row.p50_ms:g} ms, p99 {row.p99_ms:g} ms",
        f"last failure    {row.status or ''} {one_line(row.error)}".rstrip(),
    ]


def in_rows(line: str, width: int) -> list[str]:
    """Return what is said of the job in as many lines as it takes; its parts are two blanks apart."""
    rows = [""]
    for part in line.split("  "):
        longer = f"{rows[-1]}  {part}" if rows[-1] else part
        if cell_len(longer) <= width or not rows[-1]:
            rows[-1] = longer
        else:
            rows.append(part)
    return [cut_to(row, width) for row in rows]


def cut_to(line: str, width: int) -> str:
    """Return the line, no wider than the terminal; colours take no room."""
    begins = next((colour for colour in (RED, YELLOW, BOLD, DIM) if line.startswith(colour)), "")
    text = line.removeprefix(begins)
    return begins + (text if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…")
