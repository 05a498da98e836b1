"""Text wrapped to the terminal's width: broken between words only, so that anything can be copied whole."""

from __future__ import annotations

import re
from typing import Final, TextIO

from pipeline.model.printable import one_line
from pipeline.telemetry import screen

LEAST: Final = 20
"""Columns: a narrower terminal breaks lines itself."""
_GLUE: Final = "\N{NO-BREAK SPACE}"
_SPAN: Final = re.compile(r"`[^`\n]+`|\[env var: \S+|\[default: \S+")
"""What is read, or copied, as one: it is broken only where a line cannot hold it."""
_EXCERPT: Final = re.compile(r"( *\d* \| )(.*)")
_CARETS: Final = re.compile(r"([ \t]*\^+)(?: (.*))?")


def room(stream: TextIO) -> int | None:
    """Return the columns of the terminal that a stream is; None where it is none, and lines have no end."""
    if not stream.isatty():
        return None
    return max(LEAST, screen.width(stream))


def cells(text: str) -> int:
    """Return how many columns a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fitted(text: str, width: int | None) -> str:
    """Return a text whose lines are no wider, but for words that are; None: as it is.

    What goes on is indented below its line. The excerpts of files in findings are cut around their carets.
    """
    if width is None:
        return text
    lines = text.split("\n")
    found: list[str] = []
    at = 0
    while at < len(lines):
        line, below = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        pair = _excerpt(line, below, width)
        if pair is not None:
            found += pair
            at += 2
            continue
        at += 1
        if cells(line) <= width:
            found.append(line)
            continue
        indent = line[: len(line) - len(line.lstrip())]
        mark = re.match(r"[✓✗>+-] ", line.lstrip())
        found += wrapped(line.strip(), width, indent, f"{indent}{'    ' if mark else '  '}")
    return "\n".join(found)


def short(text: str, length: int) -> str:
    """Return a text on one line, cut where it is longer."""
    text = one_line(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def wrapped(text: str, width: int, first: str = "", then: str = "") -> list[str]:
    """Return the lines of one paragraph, indented; a word that is wider than a line has one of its own."""
    free = width - max(len(first), len(then))
    glued = _SPAN.sub(lambda span: _glued(span.group(), free), text)
    lines, line, used = [], first, len(first)
    is_empty = True
    for word in re.split(r"[ \t\n]+", glued.strip()):
        wide = cells(word.replace(_GLUE, " "))
        if not is_empty and used + 1 + wide > width:
            lines.append(line)
            line, used, is_empty = then, len(then), True
        line += word if is_empty else f" {word}"
        used += wide if is_empty else wide + 1
        is_empty = False
    return [one.replace(_GLUE, " ") for one in [*lines, line]]


def _glued(span: str, free: int) -> str:
    if cells(span) <= free * 2 // 3:
        return span.replace(" ", _GLUE)
    return span.replace("[env var:", f"[env{_GLUE}var:")


def _excerpt(line: str, below: str, width: int) -> list[str] | None:
    """Return a line of a file with the carets below it, cut to the width; None where these are none."""
    source, marked = _EXCERPT.fullmatch(line), _EXCERPT.fullmatch(below)
    carets = _CARETS.fullmatch(marked[2]) if marked else None
    if source is None or marked is None or carets is None:
        return None
    free = width - len(source[1])
    text, under = source[2].expandtabs(4), carets[1].expandtabs(4)
    begin = len(under) - len(under.lstrip())
    if cells(text) > free and text.isascii():
        left = max(0, min(begin - free // 3, len(text) - free + 3)) if begin > free // 2 else 0
        lead = "..." if left else ""
        cut = lead + text[left:]
        text = cut if len(cut) <= free else f"{cut[: free - 3]}..."
        under = (" " * len(lead) + under[left:])[:free]
    found = [source[1] + text, marked[1] + under]
    hint = carets[2]
    if hint and cells(found[1]) + 1 + cells(hint) <= width:
        found[1] += f" {hint}"
    elif hint:
        found += wrapped(hint, width, f"{marked[1]}  ", f"{marked[1]}  ")
    return found
