"""Finds the path at the cursor in a text that may be broken, by indentation and brackets alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["key", "value", "path", "filter", "secret"]
Parts: TypeAlias = tuple[str | int, ...]

_KEY: Final = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'[^']*'|[^\s#"'\[\]{},&*!|>%@`-][^#]*?|-[^\s#][^#]*?)\s*:(?=\s|$)"""
)
_WORD: Final = re.compile(r"[\w.$-]*$")
_BLOCK: Final = re.compile(r"[|>][+-]?\d?\s*(#.*)?$")
_FILTER: Final = re.compile(r"\|\s*\w*$")
MOST_LINES: Final = 20_000
MOST_CHARS: Final = 2_000
"""Longer lines are not examined."""


@dataclass(slots=True, frozen=True)
class Place:
    """The place of the cursor."""

    path: Parts
    """The key whose value is wanted, or the map in which a key is wanted; list elements are 0."""
    kind: Kind
    word: str
    """The text before the cursor that is replaced."""
    column: int
    """Where the word begins, from 1."""
    rest: str
    """What follows on the line."""
    taken: frozenset[str] = frozenset()
    """Keys that the map has already."""
    quote: str = ""
    """The quote inside which the word stands."""


def place_at(text: str, line: int, column: int) -> Place:
    """Return where a cursor stands; line and column count from 1."""
    lines = [one[:MOST_CHARS] for one in text.splitlines()] or [""]
    number = min(max(line, 1), len(lines), MOST_LINES) - 1
    if line > len(lines):
        lines, number = [*lines, ""], len(lines)
    source = lines[number]
    before, rest = source[: column - 1], source[column - 1 :]
    found = _WORD.search(before)
    word = found.group() if found else ""
    at = len(before) - len(word) + 1
    walk = _Walk(lines, number, before)
    path, kind, taken, quote = walk.place()
    value = walk.value + before if walk.inside else before
    if _opened(before, "${", "}"):
        return Place(path, "secret", word.removeprefix("$"), at, rest)
    if _opened(value, "{{", "}}") or _opened(value, "{%", "%}"):
        start = max(value.rfind("{{"), value.rfind("{%"))
        inner: Kind = "filter" if _FILTER.search(value[start:]) else "path"
        return Place(path, inner, word, at, rest)
    return Place(path, kind, word, at, rest, taken, quote)


def _opened(text: str, mark: str, end: str) -> bool:
    at = text.rfind(mark)
    return at >= 0 and end not in text[at:] and (mark != "${" or text[at : at + 3] != "${{")


@dataclass(slots=True)
class _Level:
    """A key or a list's dash, and its column."""

    column: int
    key: str | None
    """None: a dash."""


class _Walk:
    """Goes through the lines up to the cursor's, and keeps what encloses each."""

    def __init__(self, lines: list[str], number: int, before: str) -> None:
        self._lines = lines
        self._number = number
        self._before = before
        self._levels: list[_Level] = []
        self.inside = False
        """Whether the cursor is in a text or in brackets that began on an earlier line."""
        self.value = ""
        """What these lines hold up to the cursor's."""

    def place(self) -> tuple[Parts, Kind, frozenset[str], str]:
        """Return path, kind, the keys that are taken and the quote."""
        at = 0
        while at < self._number:
            after = self._line(at)
            if after > self._number:  # the cursor is inside what begins here
                self.inside = True
                return self._continued(at)
            at = after
        return self._cursor(self._before)

    def _line(self, at: int) -> int:
        """Process a line; return the number of the next one that is not part of its value."""
        source = self._lines[at]
        column, value = self._keys(source)
        if column < 0:
            return at + 1
        if _BLOCK.match(value):
            return self._after_block(at)
        depth = _depth(value)
        after = at + 1
        while depth > 0 and after < len(self._lines) and after - at < 1000:
            depth += _depth(self._lines[after])
            after += 1
        return after

    def _keys(self, source: str) -> tuple[int, str]:
        """Process the keys that a line opens; return the column of its last key or dash, and the rest."""
        rest = source.lstrip(" ")
        column = len(source) - len(rest)
        if not rest.strip() or rest.startswith("#"):
            return -1, ""
        rest, column = self._dashes(rest, column)
        found = _KEY.match(rest)
        if found is None:
            return column, rest
        self._leave(column)
        self._levels.append(_Level(column, _bare(found.group(1))))
        return column, rest[found.end() :].strip()

    def _dashes(self, rest: str, column: int) -> tuple[str, int]:
        """Process the dashes at a line's beginning; return the rest, and its column."""
        while rest == "-" or rest.startswith("- "):
            self._leave(column, dash=True)
            self._levels.append(_Level(column, None))
            inner = rest[1:].lstrip(" ")
            column += len(rest) - len(inner)
            rest = inner
        return rest, column

    def _leave(self, column: int, *, dash: bool = False) -> None:
        levels = self._levels
        while levels and (
            levels[-1].column > column
            or (levels[-1].column == column and (not dash or levels[-1].key is None))
        ):
            levels.pop()

    def _after_block(self, at: int) -> int:
        after = at + 1
        while after < len(self._lines):
            line = self._lines[after]
            if line.strip() and len(line) - len(line.lstrip(" ")) <= self._levels[-1].column:
                break
            after += 1
        return after

    def _continued(self, at: int) -> tuple[Parts, Kind, frozenset[str], str]:
        """The cursor is in a block of text, or inside brackets."""
        value = self._keys(self._lines[at])[1]
        path = self._path()
        if _BLOCK.match(value):
            self.value = "\n".join(self._lines[at + 1 : self._number]) + "\n"
            return path, "value", frozenset(), ""
        self.value = "\n".join([value, *self._lines[at + 1 : self._number]]) + "\n"
        return self._flow(path, self.value + self._before)

    def _cursor(self, before: str) -> tuple[Parts, Kind, frozenset[str], str]:
        rest = before.lstrip(" ")
        column = len(before) - len(rest)
        rest, column = self._dashes(rest, column)
        found = _KEY.match(rest)
        if found is None:
            if rest[:1] in ("{", "["):
                self._leave(column)
                return self._flow(self._path(), rest)
            self._leave(column)
            quote = rest[:1] if rest[:1] in ("'", '"') else ""
            return self._path(), "key", self._siblings(column), quote
        self._leave(column)
        self._levels.append(_Level(column, _bare(found.group(1))))
        value = rest[found.end() :].lstrip()
        if value[:1] in ("{", "["):
            return self._flow(self._path(), value)
        return self._path(), "value", frozenset(), value[:1] if value[:1] in ("'", '"') else ""

    def _flow(self, path: Parts, text: str) -> tuple[Parts, Kind, frozenset[str], str]:
        """Return the same for a cursor at the end of a text in brackets."""
        stack: list[tuple[str, str | None, set[str]]] = []
        token, quote = "", ""
        at = 0
        while at < len(text):
            char = text[at]
            at += 1
            if quote:
                if char == "\\" and quote == '"':
                    at += 1
                elif char == quote:
                    quote = ""
                token += char
            elif text.startswith("${", at - 1) and "}" in text[at:]:
                at = text.index("}", at) + 1
            elif char in "{[":
                stack.append((char, None, set()))
                token = ""
            elif char in "}]":
                if stack:
                    stack.pop()
                token = ""
            elif char == ",":
                if stack:
                    stack[-1] = (stack[-1][0], None, stack[-1][2])
                token = ""
            elif char == ":" and (text[at : at + 1] in (" ", "\n", "") or token[:1] in ("'", '"')):
                if stack and stack[-1][0] == "{":
                    key = _bare(token.strip())
                    stack[-1][2].add(key)
                    stack[-1] = ("{", key, stack[-1][2])
                token = ""
            else:
                if char in "'\"" and not token.strip():
                    quote, token = char, ""
                token += char
        for opened, name, _ in stack[:-1]:
            path = (*path, 0) if opened == "[" else (*path, name or "")
        if not stack:
            return path, "value", frozenset(), quote
        opened, name, taken = stack[-1]
        if opened == "[":
            return (*path, 0), "value", frozenset(), quote
        if name is not None:
            return (*path, name), "value", frozenset(), quote
        return path, "key", frozenset(taken), quote

    def _path(self) -> Parts:
        return tuple(0 if level.key is None else level.key for level in self._levels)

    def _siblings(self, column: int) -> frozenset[str]:
        """Return the keys of the map that the cursor's line belongs to, before and after it."""
        found: set[str] = set()
        for lines in (reversed(self._lines[: self._number]), self._lines[self._number + 1 :]):
            for line in lines:
                bare = line.lstrip(" ")
                if not bare.strip() or bare.startswith("#"):
                    continue
                at = len(line) - len(bare)
                first = False
                while bare.startswith("- ") and at < column:
                    inner = bare[1:].lstrip(" ")
                    at += len(bare) - len(inner)
                    bare, first = inner, True
                if at < column:
                    break
                key = _KEY.match(bare) if at == column else None
                if key is not None:
                    found.add(_bare(key.group(1)))
                if first:
                    break
        return frozenset(found)


def _bare(key: str) -> str:
    return key[1:-1] if len(key) > 1 and key[0] == key[-1] and key[0] in "'\"" else key.strip()


def _depth(text: str) -> int:
    """Return how many brackets a text opens and does not close, outside quotes."""
    depth, quote = 0, ""
    for at, char in enumerate(text):
        if quote:
            if char == quote:
                quote = ""
        elif char in "'\"" and (at == 0 or text[at - 1] in " ,[{:"):
            quote = char
        elif char == "#" and (at == 0 or text[at - 1] == " "):
            break
        elif char in "{[":
            depth += 1
        elif char in "}]":
            depth -= 1
    return depth
