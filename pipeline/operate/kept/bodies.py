"""Searches a body for a text: all of it, or only the part that the viewer may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pipeline.model.json import Value

Seen: TypeAlias = Callable[[Value], Value]
"""Takes all facts of a request and returns them as they may be shown."""


def holds_text(body: bytes, text: str, seen: Seen | None, facts: Callable[[], dict[str, Value]]) -> bool:
    """Return whether a text is in a body, in small or capital letters; spaces do not count where only some
    of it may be seen: what was hidden is written anew.

    facts: of the request, asked for only where that is needed.
    """
    wanted = text.lower()
    if wanted.encode() not in body.lower():
        return False
    if seen is None:
        return True
    shown = str(seen(facts())["request"]["body"]).lower()
    return "".join(wanted.split()) in "".join(shown.split())
