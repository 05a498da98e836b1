"""A line of YAML that libyaml could not parse, split at its value."""

from __future__ import annotations

from collections.abc import Iterable


def split_value(source: str) -> tuple[str, str, str] | None:
    """Return what precedes a line's value (dashes, a key), the value, and trailing blanks with a comment.

    None for a line without a value. A single pass: a regex would try every way to distribute the blanks.
    """
    start = _after_blanks(source, 0)
    while source[start : start + 1] == "-":
        following = _after_blanks(source, start + 1)
        if following in (start + 1, len(source)):
            break
        start = following
    if start == len(source):
        return None
    start = _after_key(source, start)
    end = next(
        (at for at in range(start + 1, len(source)) if source[at] == "#" and source[at - 1].isspace()),
        len(source),
    )
    value = source[start:end].rstrip()
    return source[:start], value or source[start : start + 1], source[start + len(value) :]


def _after_blanks(source: str, at: int) -> int:
    while at < len(source) and source[at].isspace():
        at += 1
    return at


def _after_key(source: str, start: int) -> int:
    """Return where the value after a key begins; the start, where there is no key with a value."""
    first = source[start]
    if first in "\"'":
        close = source.find(first, start + 1)
        colon = _after_blanks(source, close + 1) if close > 0 else len(source)
        colons: Iterable[int] = (colon,) if source[colon : colon + 1] == ":" else ()
    elif first in "#{}[],&*!|>%@`":
        return start
    else:
        stop = next((at for at in range(start + 1, len(source)) if source[at] in '#"{}[]'), len(source))
        colons = (at for at in range(start + 1, stop) if source[at] == ":")
    for colon in colons:
        value = _after_blanks(source, colon + 1)
        if colon + 1 < value < len(source):
            return value
    return start
