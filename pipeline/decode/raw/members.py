"""Cuts the members out of an envelope that is not valid JSON as a whole.

One NaN, one integer beyond 64 bits or one lone surrogate costs its member, not the hundred beside it: SDKs do
send them (Segment's and RudderStack's Python libraries write NaN). Each member is then judged on its own by
strict.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pipeline.decode.raw import strict

_SPACE = re.compile(r"[ \t\n\r]*")


def _nothing(text: str) -> None:
    # Only where values end matters here; a number may have millions of digits.
    return None


_read_text = json.JSONDecoder().raw_decode
_read = json.JSONDecoder(parse_int=_nothing, parse_float=_nothing, parse_constant=_nothing).raw_decode


def cut(raw: bytes, names: Sequence[str]) -> tuple[str, list[bytes], bytes] | None:
    """Return (name of the field, its members, the envelope without them); None where it cannot be cut.

    A line that is a list is an envelope called "the list" with nothing around it: ``{}``.
    """
    try:
        text = strict.without_bom(raw).decode()
        at = _after_space(text, 0)
        if text[at : at + 1] == "[":
            members, end = _members(text, at)
            return None if _after_space(text, end) != len(text) else ("the list", members, b"{}")
        return _of_object(text, at, names)
    except (ValueError, StopIteration, IndexError, RecursionError):
        return None


def _of_object(text: str, at: int, names: Sequence[str]) -> tuple[str, list[bytes], bytes] | None:
    if text[at] != "{":
        return None
    found: tuple[str, list[bytes], int, int] | None = None
    at = _after_space(text, at + 1)
    while text[at] == '"':
        name, at = _read_text(text, at)
        at = _after_space(text, at)
        if text[at] != ":":
            return None
        start = _after_space(text, at + 1)
        if name in names and text[start] == "[":
            if found is not None:
                return None
            members, at = _members(text, start)
            found = name, members, start, at
        else:
            _, at = _read(text, start)
        at = _after_space(text, at)
        if text[at] == ",":
            at = _after_space(text, at + 1)
        elif text[at] != "}":
            return None
        else:
            break
    if found is None or text[at] != "}" or _after_space(text, at + 1) != len(text):
        return None
    name, members, start, end = found
    return name, members, (text[:start] + "[]" + text[end:]).encode("utf-8", "surrogatepass")


def _members(text: str, at: int) -> tuple[list[bytes], int]:
    """Return the texts of the members of the list that begins here, and its end."""
    members: list[bytes] = []
    at = _after_space(text, at + 1)
    if text[at] == "]":
        return members, at + 1
    while True:
        _, end = _read(text, at)
        members.append(text[at:end].encode("utf-8", "surrogatepass"))
        at = _after_space(text, end)
        if text[at] == "]":
            return members, at + 1
        if text[at] != ",":
            raise ValueError(at)
        at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()
