"""Cuts the fields of an object or the members of a list out of text that is not valid JSON throughout.

One NaN, one integer beyond 64 bits or one lone surrogate costs its member, not the hundred beside it: SDKs do
send them (Segment's and RudderStack's Python libraries write NaN). It takes invalid UTF-8, unescaped control
characters, a thousand brackets and words that are not JSON, wherever it is clear which value they belong to,
and objects with no comma between them, too many, or zero bytes (Segment's libraries for phones, whose files
of events were written in part).
The sender may be hostile: time and memory are bounded whatever the text contains.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence

from pipeline.decode.raw import strict

MANY = 100_000
"""Members beyond this are not examined."""
_FIELDS = 10_000
_MARKS_IN_ALL = 200_000
"""Brackets and strings examined one by one: a tenth of a second."""
_LEVELS = 8
"""Levels of brackets that are skipped at once; deeper values are examined bracket by bracket."""

_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_MARKS = re.compile(_TEXT + rb'|[\[\]{}"]', re.DOTALL)
_SIMPLE = re.compile(_TEXT + rb"|true|false|null|NaN|-?Infinity|-?[0-9][0-9.eE+-]*+", re.DOTALL)
_NAME = re.compile(rb"(" + _TEXT + rb")[ \t\n\r]*+:[ \t\n\r]*+", re.DOTALL)
_BLANK = re.compile(rb"[ \t\n\r]*+")
_BETWEEN = re.compile(rb"[ \t\n\r,\0]*+")
"""What may stand between two objects, and before and after them."""
_OPEN_LIST, _CLOSE_LIST, _OPEN_OBJECT, _CLOSE_OBJECT, _COMMA = b"[]{},"


def _nested(levels: int) -> bytes:
    inside = rb"(?:[^{}\[\]\"]++|" + _TEXT
    return inside + (rb"|[{\[]" + _nested(levels - 1) + rb"*+[}\]])" if levels else rb")")


# Each part is possessive, so there is no backtracking, whatever the text contains.
_VALUE = re.compile(rb"[{\[]" + _nested(_LEVELS - 1) + rb"*+[}\]]", re.DOTALL)


def members(raw: bytes, names: Sequence[str]) -> tuple[str, list[bytes], bytes] | None:
    """Return (name of the field, its members, the envelope without them); None where it cannot be cut, or has
    more than `MANY`: those after them would be lost.

    A line that is a list is an envelope called "the list" with nothing around it: ``{}``. So is one of
    several objects, whose writer left out the line ends.
    """
    listed, around = items(raw, MANY), None
    if listed is None:
        around = fields(raw, once=names)
        if around is None:
            joined = items(b"[" + strict.without_bom(raw) + b"]", MANY) or []
            listed = joined if len(joined) > 1 and all(one[:1] == b"{" for one in joined) else None
    if listed is not None:
        return None if len(listed) > MANY else ("the list", listed, b"{}")
    if around is None:
        return None
    name = next((one for one in names if around.get(one, b"")[:1] == b"["), None)
    held = None if name is None else items(around.pop(name), MANY)
    if name is None or held is None or len(held) > MANY:
        return None
    rest = [json.dumps(one).encode() + b":" + value for one, value in around.items()]
    return name, held, b"{" + b",".join(rest) + b"}"


def fields(raw: bytes, *, once: Collection[str] = ()) -> dict[str, bytes] | None:
    """Return the fields of an object; None where the text is not one, or too much to examine.

    once: names that it may have only once: the contents of the first would be lost.
    """
    text = strict.without_bom(raw)
    walk = _Walk(text)
    found: dict[str, bytes] = {}
    try:
        at = walk.blank(0)
        if text[at] != _OPEN_OBJECT:
            return None
        at = walk.blank(at + 1)
        if text[at] == _CLOSE_OBJECT:
            return found if walk.blank(at + 1) == len(text) else None
        for _ in range(_FIELDS):
            named = _NAME.match(text, at)
            if named is None:
                return None
            start = named.end()
            end = walk.end_of_any(start)
            name = _name_of(named[1])
            if name in once and name in found:
                return None
            found[name] = text[start:end]
            at = walk.blank(end)
            if text[at] != _COMMA:
                return found if text[at] == _CLOSE_OBJECT and walk.blank(at + 1) == len(text) else None
            at = walk.blank(at + 1)
    except (ValueError, IndexError):
        pass
    return None


def items(raw: bytes, most: int) -> list[bytes] | None:
    """Return at most ``most`` + 1 members of a list; None where the text is not a list."""
    text = strict.without_bom(raw)
    walk = _Walk(text)
    found: list[bytes] = []
    try:
        at = walk.blank(0)
        if text[at] != _OPEN_LIST:
            return None
        end = walk.end_of_list(at, found, most)
        return found if len(found) > most or walk.blank(end) == len(text) else None
    except (ValueError, IndexError):
        return None


class _Walk:
    """Finds the ends of values."""

    __slots__ = ("_marks", "_text")

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._marks = 0

    def blank(self, at: int) -> int:
        """Return the end of the whitespace that begins here."""
        found = _BLANK.match(self._text, at)
        assert found is not None
        return found.end()

    def end_of_list(self, at: int, found: list[bytes] | None, most: int) -> int:
        """Return the end of the list that begins here, or of its member after ``most``; appends them to
        ``found``.
        """
        text = self._text
        at = self._next(at + 1)
        for _ in range(most + 1):
            if text[at] == _CLOSE_LIST:
                return at + 1
            end = self.end(at)
            if found is not None:
                found.append(text[at:end])
            at = self._next(end)
        if text[at] == _CLOSE_LIST:
            return at + 1
        if found is None:
            raise ValueError(at)
        return at

    def _next(self, at: int) -> int:
        """Return where the next member, or the last bracket, begins; at: behind the one before it."""
        text = self._text
        found = _BETWEEN.match(text, at)
        assert found is not None
        end, commas = found.end(), found[0].strip(b" \t\n\r")
        is_first, is_last = text[at - 1] == _OPEN_LIST, text[end] == _CLOSE_LIST
        if commas == (b"" if is_first or is_last else b","):
            return end
        after_object = is_first or text[at - 1] == _CLOSE_OBJECT
        before_object = is_last or text[end] == _OPEN_OBJECT
        if after_object and before_object and not (is_first and is_last):
            return end
        raise ValueError(at)

    def end_of_any(self, at: int) -> int:
        """Return the same as `end`; also for a list that is too deep for it but whose members are not."""
        if self._text[at] == _OPEN_LIST and _VALUE.match(self._text, at) is None:
            return self.end_of_list(at, None, MANY)
        return self.end(at)

    def end(self, at: int) -> int:
        """Return the end of the value that begins here. Raises ValueError, IndexError."""
        found = _SIMPLE.match(self._text, at) or _VALUE.match(self._text, at)
        if found is not None:
            return found.end()
        if self._text[at] not in b"{[":
            raise ValueError(at)
        return self._by_brackets(at)

    def _by_brackets(self, at: int) -> int:
        depth = 0
        for mark in _MARKS.finditer(self._text, at):
            self._marks += 1
            kind = mark[0]
            if kind == b"{" or kind == b"[":
                depth += 1
            elif kind == b"}" or kind == b"]":
                depth -= 1
                if depth == 0:
                    return mark.end()
            elif kind == b'"':
                break  # an unterminated string
            if self._marks > _MARKS_IN_ALL:
                break
        raise ValueError(at)


def _name_of(quoted: bytes) -> str:
    text = quoted.decode("utf-8", "replace")
    return str(json.loads(text, strict=False)) if "\\" in text else text[1:-1]
