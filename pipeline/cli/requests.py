"""Requests as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.model.printable import one_line

if TYPE_CHECKING:
    from pipeline.job.preview import Preview


def as_text(shown: Preview) -> str:
    """Return the request in the order in which it goes out."""
    import orjson

    if shown.suppressed:
        return "suppressed by `limit` or `dedupe`"
    if shown.dead_letter is not None:
        return f"dead letter: {one_line(shown.dead_letter)}"
    lines = [f"{shown.method} {one_line(shown.url)}"]
    lines += [f"{name}: {one_line(value)}" for name, value in shown.headers.items()]
    body = shown.body
    if body is not None:
        text = body if isinstance(body, str) else orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
        lines += ["", text]
    return "\n".join(lines)
