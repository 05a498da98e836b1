"""Requests as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.cli.output import echo, print_text
from pipeline.model.printable import one_line

if TYPE_CHECKING:
    from pipeline.job.trials.preview import Preview


def show(shown: Preview) -> None:
    """Print the request in the order in which it goes out, as it is; or why there is none."""
    import orjson

    if shown.suppressed:
        print_text("suppressed by `limit` or `dedupe`")
        return
    if shown.dead_letter is not None:
        print_text(f"dead letter: {one_line(shown.dead_letter)}")
        return
    lines = [f"{shown.method} {one_line(shown.url)}"]
    lines += [f"{name}: {one_line(value)}" for name, value in shown.headers.items()]
    lines += [f"{name}: ({one_line(value)})" for name, value in shown.added.items()]
    body = shown.body
    if body is not None:
        text = body if isinstance(body, str) else orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
        lines += ["", text]
    echo("\n".join(lines))
