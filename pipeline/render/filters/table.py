"""The filters of templates: one table that the compiler, the reference and the tests read."""

from __future__ import annotations

from typing import Final

from pipeline.render.filters import data, encodings, lists, numbers, texts
from pipeline.render.filters.filter import Filter

FILTERS: Final[dict[str, Filter]] = {
    filter_.name: filter_
    for filter_ in sorted(
        (*texts.TABLE, *encodings.TABLE, *numbers.TABLE, *lists.TABLE, *data.TABLE),
        key=lambda filter_: filter_.name,
    )
}


def reference() -> str:
    """Return the table of filters as Markdown, for the generated field reference."""
    rows = ["| filter | what it gives | example |", "|---|---|---|"]
    for filter_ in FILTERS.values():
        example = filter_.examples[0]
        shown = example.shown.replace("|", "\\|")
        row = f"| `{filter_.name}` | {filter_.meaning} | `{shown}` → `{example.shown_result}` |"
        rows.append(row.replace("``", "` `"))
    return "\n".join(rows) + "\n"
