"""Removes the write key from members, so that no line and no webhook shows it.

The value of a member's own key field (`writeKey`, `api_key`, ...) is removed whatever it is; deeper down only
where it is the request's key. A text that is the key, or contains it, is removed anywhere, if the key is long
enough not to be a word. All edits cut the raw text; nothing is serialised again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TypedDict, cast

import msgspec

from pipeline.collect.masking import NO_PART_OF_A_WORD, NO_WORD, masked, shows
from pipeline.collect.protocols.protocol import Malformed

_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:"]', re.DOTALL)
"""A quote alone begins a text that does not end: its rest is skipped, or each further quote in it would be
followed to the end.
"""
_EMPTY = (b'""', b"null")
_ESCAPED_ASCII = re.compile(rb"\\\\|\\u00([2-7][0-9a-fA-F])")
"""Also a backslash that is escaped itself: what follows that is no escape."""
_UNSEEN = re.compile(r'["\\/]|[^ -~]')
"""Characters that JSON may write in several ways besides Unicode escapes."""

_MOST_TEXTS = 100_000
"""Strings of a request examined one by one: a quarter of a second."""


class Names:
    """The key fields of a protocol."""

    def __init__(self, *names: str) -> None:
        self.names = frozenset(name.encode() for name in names)
        self._quoted = {name: b'"' + name.encode() + b'"' for name in names}
        either = b"|".join(map(re.escape, self.names)) or b"(?!)"
        self.as_text = re.compile(b'("(?:' + either + rb')"\s*:\s*)"([^"\\]*)"')
        self.emptied = [
            (quoted + colon + b'"', quoted + colon + b'""')
            for quoted in self._quoted.values()
            for colon in (b":", b": ")
        ]
        """A key field's usual spelling up to its value, and the same with an empty value."""
        fields = TypedDict("fields", dict.fromkeys(names, msgspec.Raw), total=False)  # type: ignore[misc]  # names of a class are
        self._top = msgspec.json.Decoder(fields).decode

    def any_in(self, text: bytes) -> bool:
        """Return whether the text contains one of them."""
        for quoted in self._quoted.values():  # noqa: SIM110 - twice as fast as any()
            if quoted in text:
                return True
        return False

    def are_more_in(self, plain: bytes, member: bytes) -> bool:
        """Return whether the first text contains more of them than the second."""
        return any(plain.count(quoted) > member.count(quoted) for quoted in self._quoted.values())

    def are_empty(self, member: bytes) -> bool:
        """Return whether the member's own key fields are certainly empty."""
        try:
            top = cast(dict[str, msgspec.Raw], self._top(member))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        # Of a repeated field only the last is seen.
        return all(
            bytes(value) in _EMPTY and member.count(self._quoted[name]) == 1 for name, value in top.items()
        )


class Keyless:
    """Removes one request's key from its members. ``names``: the key fields of its protocol."""

    __slots__ = ("_any_backslash", "_bytes", "_key", "_left", "_names")

    def __init__(self, names: Names, key: str | None) -> None:
        self._names = names
        self._key = key = key or ""
        self._bytes = key.encode("utf-8", "surrogatepass")
        self._any_backslash = _UNSEEN.search(key) is not None
        self._left = _MOST_TEXTS

    def clean_all(self, members: list[bytes], text: bytes) -> list[bytes]:
        """Return the members without the key. ``text``: all of them at once, which is checked first.

        Raises Malformed where that would take too long.
        """
        return [self.clean(member) for member in members] if self._may_hold(text) else members

    def clean(self, member: bytes) -> bytes:
        """Return the member without the key. Raises Malformed where that would take too long."""
        if not self._may_hold(member):
            return member
        if not self._hides(member):
            cleaned = self._plainly(member)
            if not self._names.any_in(cleaned) or self._names.are_empty(cleaned):
                return cleaned
        pieces = []
        at = 0
        for start, end, new in self._cuts(member):
            pieces.append(member[at:start])
            pieces.append(new)
            at = end
        cleaned = b"".join([*pieces, member[at:]]) if pieces else member
        # Nobody reads invalid JSON, but it may still contain the key.
        return cleaned.replace(self._bytes, b"***") if len(self._bytes) >= NO_WORD else cleaned

    def _may_hold(self, text: bytes) -> bool:
        if (self._bytes and self._bytes in text) or self._names.any_in(text):
            return True
        return b"\\" in text and (
            self._any_backslash or (b"\\u00" in text and _ESCAPED_ASCII.search(text) is not None)
        )

    def _hides(self, member: bytes) -> bool:
        """Return whether the key, or the name of a key field, is written with escapes."""
        if b"\\" not in member:
            return False
        if self._any_backslash:
            return True
        if b"\\u00" not in member:
            return False
        plain = _ESCAPED_ASCII.sub(_letter, member)
        return (self._key != "" and self._bytes in plain) or self._names.are_more_in(plain, member)

    def _plainly(self, member: bytes) -> bytes:
        """Return the member without the key where it is written without escapes.

        Examining all of its strings takes ten times as long, and every event of a page contains the key.
        """
        key = self._bytes
        if not key:
            return member
        cleaned = member
        if key in member:
            for name, emptied in self._names.emptied:
                cleaned = cleaned.replace(name + key + b'"', emptied)
            if key in cleaned:
                cleaned = self._names.as_text.sub(self._emptied, cleaned)
        if len(key) >= NO_PART_OF_A_WORD:
            return cleaned.replace(key, b"***")
        return cleaned.replace(b'"' + key + b'"', b'"***"') if len(key) >= NO_WORD else cleaned

    def _emptied(self, found: re.Match[bytes]) -> bytes:
        self._count()
        return found[1] + b'""' if found[2].strip() == self._bytes else found[0]

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Malformed("too many texts have escapes, or stand beside a key: send smaller requests", 413)

    def _cuts(self, member: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield (start, end, replacement)."""
        objects: list[bool] = []
        name: bytes | None = None  # of the field whose value comes next
        begun = 0  # where a bare value may begin
        is_bare = False
        whole = -1  # where an unchanged list or object began
        for token in _TOKENS.finditer(member):
            self._count()
            start, end = token.span()
            mark = member[start]
            if whole >= 0:
                if mark in _OPENS:
                    objects.append(False)
                elif mark in _CLOSES:
                    objects.pop()
                    if len(objects) == 1:
                        yield whole, end, b'""'
                        whole, name, is_bare = -1, None, False
                continue
            if mark == _QUOTE:
                if end - start == 1:
                    return
                text = _text(member[start:end])
                if objects and objects[-1] and name is None and _COLON_NEXT.match(member, end):
                    name = text.encode("utf-8", "surrogatepass")
                    if self._holds(text):
                        yield start, end, self._masked(text)
                else:
                    if name is not None and name in self._names.names and self._goes(text, len(objects)):
                        yield start, end, b'""'
                    elif self._holds(text):
                        yield start, end, self._masked(text)
                    name, is_bare = None, False
                continue
            if mark == _COLON:
                begun, is_bare = end, True
                continue
            if mark in _OPENS:
                if name is not None and name in self._names.names and len(objects) == 1:
                    whole = start
                objects.append(mark == _OPENS[0])
                name, is_bare = None, False
                continue
            if is_bare and name is not None and name in self._names.names:
                bare = member[begun:start].strip()
                if bare and bare != b"null" and self._goes(bare.decode("latin-1"), len(objects)):
                    yield begun, start, b'""'
            name, is_bare = None, False
            if mark in _CLOSES and objects:
                objects.pop()

    def _goes(self, text: str, depth: int) -> bool:
        return depth == 1 or (self._key != "" and text.strip() == self._key)

    def _holds(self, text: str) -> bool:
        return shows(text, self._key)

    def _masked(self, text: str) -> bytes:
        return json.dumps(masked(text, self._key)).encode()


def _letter(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape[1] is None else bytes.fromhex(escape[1].decode())


_QUOTE, _COLON = b'":'
_OPENS, _CLOSES = b"{[", b"}]"
_COLON_NEXT = re.compile(rb"[ \t\r\n]*:")


def _text(quoted: bytes) -> str:
    if b"\\" not in quoted:
        return quoted[1:-1].decode("utf-8", "surrogateescape")
    try:
        text: str = json.loads(quoted.decode("utf-8", "surrogateescape"), strict=False)
    except ValueError:
        return quoted[1:-1].decode("utf-8", "surrogateescape")
    return text
