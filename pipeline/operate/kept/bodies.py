"""Searches a body for a text: all of it, or only the part that the viewer may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pipeline.model.json import Value

Seen: TypeAlias = Callable[[Value], Value]
"""Takes all facts of a request and returns them as the viewer may see them."""


def holds_text(body: bytes, text: str, seen: Seen | None, facts: Callable[[], dict[str, Value]]) -> bool:
    """Return whether a body contains a text, ignoring case; ignoring spaces too where only a part may be
    seen, because masked bodies are reformatted.

    facts: returns the request's facts; called only when needed.
    """
    wanted = text.lower()
    if wanted.encode() not in body.lower():
        return False
    if seen is None:
        return True
    shown = str(seen(facts())["request"]["body"]).lower()
    return "".join(wanted.split()) in "".join(shown.split())
