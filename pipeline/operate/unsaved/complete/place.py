"""Finds the path at the cursor in a text that may be broken there, by the tokens of YAML alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import yaml

Kind: TypeAlias = Literal["key", "value", "path", "filter", "secret"]
Parts: TypeAlias = tuple[str | int, ...]

_WORD: Final = re.compile(r"(?<![\w.$-])[\w.$-]*$")
_FILTER: Final = re.compile(r"\|\s*\w*$")
_CURSOR: Final = "\ue000"
"""Stands for the cursor in the text that is scanned."""
_ENDS: Final[tuple[str, ...]] = ("", "'", '"', "': 0", '": 0')
"""What makes a whole token of the one that the cursor is in: it may be a text in quotes, or a key."""
_LOADER: Final = yaml.CSafeLoader


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
    line, lines = max(line, 1), text.replace(_CURSOR, " ").splitlines()
    above, below = "".join(f"{one}\n" for one in lines[: line - 1]), lines[line:]
    source = lines[line - 1] if line <= len(lines) else ""
    before, rest = source[: column - 1], source[column - 1 :]
    found = _WORD.search(before)
    word = found.group() if found else ""
    at = len(before) - len(word) + 1
    head, ends = above + before + " " * before.endswith(":") + _CURSOR, _ENDS
    if not before[: at - 1].strip(" -"):  # a key may stand here, or a line of a longer text
        ends = ("\n".join([rest if ":" in rest else ": 0", *below]), *_ENDS)
    scans = (_Scan(head + end) for end in ends)
    scan = next((scan for scan in scans if scan.said is not None), _Scan(""))
    if _opened(before, "${", "}"):
        return Place(scan.path, "secret", word.removeprefix("$"), at, rest, quote=scan.quote)
    for value in (before, scan.said or ""):
        if _opened(value, "{{", "}}") or _opened(value, "{%", "%}"):
            start = max(value.rfind("{{"), value.rfind("{%"))
            kind: Kind = "filter" if _FILTER.search(value[start:]) else "path"
            return Place(scan.path, kind, word, at, rest, quote=scan.quote)
    return Place(scan.path, scan.kind, word, at, rest, frozenset(scan.taken), scan.quote)


def _opened(text: str, mark: str, end: str) -> bool:
    at = text.rfind(mark)
    return at >= 0 and end not in text[at:] and (mark != "${" or text[at : at + 3] != "${{")


@dataclass(slots=True)
class _Level:
    """A map or a list that has begun."""

    is_map: bool
    key: str | None = None
    """Of a map: the last one, while its value is due."""
    keys: set[str] = field(default_factory=set)
    is_bare: bool = False
    """A list whose dashes stand as far left as the key above: its end is no token."""


class _Scan:
    """Goes through the tokens of a text, and keeps what encloses the cursor."""

    def __init__(self, text: str) -> None:
        self.said: str | None = None
        """The text that the cursor is in, up to it; None: the cursor was not found."""
        self.quote = ""
        self.path: Parts = ()
        self.kind: Kind = "value"
        self.taken: set[str] = set()
        self._levels: list[_Level] = []
        self._is_key = False
        depth = 0
        for token in _tokens(text):
            if self.said is None or len(self._levels) >= depth > 0:  # the map's other keys may follow
                self._take(token)
            if self.said is not None and not depth:
                depth = len(self._levels)

    def _take(self, token: yaml.Token) -> None:
        match token:
            case yaml.BlockMappingStartToken() | yaml.FlowMappingStartToken():
                self._levels.append(_Level(True))
            case yaml.BlockSequenceStartToken() | yaml.FlowSequenceStartToken():
                self._levels.append(_Level(False))
            case yaml.BlockEndToken() | yaml.FlowMappingEndToken() | yaml.FlowSequenceEndToken():
                self._end_bare()
                if self._levels:
                    self._levels.pop()
            case yaml.BlockEntryToken():
                if self._levels and self._levels[-1].is_map:
                    self._levels.append(_Level(False, is_bare=True))
            case yaml.FlowEntryToken():
                if self._levels:
                    self._levels[-1].key = None
            case yaml.KeyToken():
                self._end_bare()
                self._is_key = True
            case yaml.ValueToken():
                self._is_key = False
            case yaml.ScalarToken():
                self._scalar(token)

    def _end_bare(self) -> None:
        if self._levels and self._levels[-1].is_bare:
            self._levels.pop()

    def _scalar(self, token: yaml.ScalarToken) -> None:
        level = self._levels[-1] if self._levels else _Level(True)
        if _CURSOR in token.value:
            self.said = token.value.partition(_CURSOR)[0]
            self.quote = token.style if token.style in ("'", '"') else ""
            parts = [(one.key or "") if one.is_map else 0 for one in self._levels]
            if level.is_map and (self._is_key or level.key is None):
                self.path, self.kind, self.taken = tuple(parts[:-1]), "key", level.keys
            else:
                self.path = tuple(parts)
        elif self._is_key and level.is_map:
            level.key = token.value
            level.keys.add(token.value)


def _tokens(text: str) -> Iterator[yaml.Token]:
    """Yield the tokens up to the first fault."""
    try:
        yield from yaml.scan(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError):
        return
