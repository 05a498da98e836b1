"""Requests as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.operate.preview import Preview


def as_text(shown: Preview) -> str:
    """Return the request in the order in which it goes out."""
    import orjson

    if shown.suppressed:
        return "suppressed by `limit` or `dedupe`"
    if shown.dead_letter is not None:
        return f"dead letter: {shown.dead_letter}"
    lines = [f"{shown.method} {shown.url}"]
    lines += [f"{name}: {value}" for name, value in shown.headers.items()]
    body = shown.body
    if body is not None:
        text = body if isinstance(body, str) else orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
        lines += ["", text]
    return "\n".join(lines)
