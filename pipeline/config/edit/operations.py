"""The edits: each returns a new text that differs from the old one in exactly what was meant.

The new text is parsed and compared with the intended data, including the order of keys; if no way of cutting
and pasting achieves it, the edit is refused. Comments, quotes, order, line ends stay as they are.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from pipeline.config.edit.differences import differences
from pipeline.config.edit.layout import Entry, Layout, Part
from pipeline.config.edit.paths import show_path
from pipeline.config.edit.splices import (
    Way,
    apply,
    at_index,
    beginning,
    deleting,
    inserting,
    moving,
    renaming,
    replacing,
)
from pipeline.config.edit.values import require_writable, same
from pipeline.config.yaml.diagnostics import KeyPath, Problem
from pipeline.config.yaml.document import Document, Node, Span
from pipeline.config.yaml.loader import EMPTY, parse_yaml
from pipeline.config.yaml.locating import place
from pipeline.model.errors import ConfigError
from pipeline.model.json import Value
from pipeline.model.words import counted, meant_or

_BOM = "\ufeff"
_EDITABLE = frozenset({EMPTY, "empty-value"})
"""Faults of a file that an edit may fix."""
MOST_STEPS = 50
"""A collection that differs in more places is rewritten."""


def set_value(text: str, path: KeyPath, value: Value, *, file: str = "") -> str:
    """Return the text with this value at a path; missing maps on the way are created.

    If one map or list replaces another, only the differences are written. Raises ConfigError.
    """
    require_writable(value, path, file)
    edit = _Edit.of(text, file)
    if edit.has(path):
        if same(edit.value(path), value):
            return text
        return _in_steps(edit, path, value) or edit.replace(path, value)
    known = 0
    while edit.has(path[: known + 1]):
        known += 1
    for part in reversed(path[known + 1 :]):
        if not isinstance(part, str):
            raise edit.refusal(
                path[:known], "missing-list", f"there is no `{path[known]}`: no list to set an element of"
            )
        value = {part: value}
    if not isinstance(path[known], str):
        raise edit.no_such(path[: known + 1])
    if known and edit.value(path[:known]) is None:
        return edit.replace(path[:known], {path[known]: value})  # `limit:`, or `limit: null`
    return edit.insert(path[:known], path[known], value, None)


def insert(text: str, path: KeyPath, value: Value, *, at: int | None = None, file: str = "") -> str:
    """Return the text with a new entry.

    In a map it gets this position among its keys (None: the last); in a list it comes before the element at
    the path (one past the last: at the end). Raises ConfigError.
    """
    require_writable(value, path, file)
    edit = _Edit.of(text, file)
    if not path:
        raise edit.refusal((), "no-path", "the whole file cannot be inserted")
    return edit.insert(path[:-1], path[-1], value, at)


def append(text: str, path: KeyPath, value: Value, *, file: str = "") -> str:
    """Return the text with a new last element of the list at a path; a missing list is created.

    Raises ConfigError.
    """
    edit = _Edit.of(text, file)
    part = edit.layout.find(path)
    if part is None:
        return set_value(text, path, [value], file=file)
    if part.kind != "list":
        raise edit.refusal(path, "wrong-type", f"{_named(path)} is no list", "`set` gives it another value")
    return insert(text, (*path, len(part.entries)), value, file=file)


def delete(text: str, path: KeyPath, *, file: str = "") -> str:
    """Return the text without an entry and the comment in its line; deleting the only one leaves `{}` or
    `[]`.

    Raises ConfigError.
    """
    edit = _Edit.of(text, file)
    meant, outer, at = edit.entry(path)
    _take(meant, path)
    _, above = edit.holder(path[:-1])
    return edit.first(meant, deleting(edit.layout, outer, at, above), path, "deleted")


def move(text: str, path: KeyPath, to: int, *, file: str = "") -> str:
    """Return the text with an entry, and its comments, at another position among its siblings.

    Raises ConfigError.
    """
    edit = _Edit.of(text, file)
    meant, outer, at = edit.entry(path)
    if not 0 <= to < len(outer.entries):
        raise edit.refusal(
            path,
            "no-place",
            f"there is no place {to}: they are counted from 0 to {len(outer.entries) - 1}",
        )
    if to == at:
        return text
    within = _at(meant, path[:-1])
    if isinstance(within, list):
        within.insert(to, within.pop(at))
    else:
        keys = list(within)
        keys.insert(to, keys.pop(at))
        _refill(within, [(key, within[key]) for key in keys])
    return edit.first(meant, moving(edit.layout, outer, at, to), path, "moved")


def rename(text: str, path: KeyPath, key: str, *, file: str = "") -> str:
    """Return the text with the key at the end of a path renamed. Raises ConfigError."""
    require_writable({key: None}, path, file)
    edit = _Edit.of(text, file)
    meant, outer, at = edit.entry(path)
    if outer.kind != "map":
        raise edit.refusal(path, "no-key", "an element of a list has no key")
    within = _at(meant, path[:-1])
    if key == path[-1]:
        return text
    if key in within:
        raise edit.refusal((*path[:-1], key), "duplicate-key", f"there is a key `{key}` already")
    _refill(within, [(key if known == path[-1] else known, one) for known, one in within.items()])
    return edit.first(meant, renaming(edit.layout, outer, at, key), path, "renamed")


def editable(text: str, file: str) -> Document:
    """Return a text that edits can work on. Raises ConfigError where it is no YAML."""
    document = parse_yaml(text, file)
    faults = [one for one in document.findings if not one.warning and one.code not in _EDITABLE]
    if faults:
        raise ConfigError(faults)
    return document


class _Edit(NamedTuple):
    """The text on which one edit works."""

    text: str
    document: Document
    layout: Layout
    """Of the text without its byte order mark."""

    @classmethod
    def of(cls, text: str, file: str) -> _Edit:
        document = editable(text, file)
        root = document.root or _nothing(document)
        return cls(text, document, Layout(text.removeprefix(_BOM), root))

    @property
    def data(self) -> Value:
        return self.document.root.value if self.document.root is not None else None

    @property
    def is_empty(self) -> bool:
        return self.layout.root.value is None and self.layout.root.start == self.layout.root.end

    def has(self, path: KeyPath) -> bool:
        return self.layout.find(path) is not None

    def value(self, path: KeyPath) -> Value:
        return _at(self.data, path)

    def entry(self, path: KeyPath) -> tuple[Value, Part, int]:
        """Return a copy of the data, the collection that contains an entry, and its position there."""
        if not path:
            raise self.refusal((), "no-path", "the whole file is meant: name something in it")
        outer = self.layout.find(path[:-1])
        at = None if outer is None else at_index(outer, path[-1])
        if outer is None or at is None:
            raise self.no_such(path)
        return copy.deepcopy(self.data), outer, at

    def replace(self, path: KeyPath, value: Value) -> str:
        meant = copy.deepcopy(self.data)
        part = self.layout.find(path)
        assert part is not None  # the caller of a replacement has checked
        outer, entry = self.holder(path)
        if path:
            _at(meant, path[:-1])[path[-1]] = value
        else:
            meant = value
        return self.first(meant, replacing(self.layout, part, entry, outer, value), path, "set")

    def holder(self, path: KeyPath) -> tuple[Part | None, Entry | None]:
        """Return the collection that holds a value, and its entry there; None for the root."""
        outer = self.layout.find(path[:-1]) if path else None
        return outer, None if outer is None else outer.entries[at_index(outer, path[-1]) or 0]

    def _filling(self, path: KeyPath, part: Part, value: Value) -> Iterator[Way]:
        """Yield ways to fill `{}` or `[]`, written as the file writes such collections."""
        outer, entry = self.holder(path)
        if self.layout.is_hollow(part, entry):
            yield from replacing(self.layout, part, entry, outer, value)

    def insert(self, outer: KeyPath, key: str | int, value: Value, at: int | None) -> str:
        path = (*outer, key)
        if self.is_empty and not outer:
            if not isinstance(key, str):
                raise self.no_such(path)
            return self.first({key: value}, beginning(self.layout.text, key, value), path, "inserted")
        part = self.layout.find(outer)
        if part is None:
            raise self.no_such(outer)
        meant = copy.deepcopy(self.data)
        within = _at(meant, outer)
        if part.kind == "map" and isinstance(key, str):
            if key in within:
                raise self.refusal(path, "duplicate-key", f"there is a key `{key}` already")
            place = len(within) if at is None else at
            if not 0 <= place <= len(within):
                raise self.refusal(
                    outer, "no-place", f"there is no place {place}: there are {counted(len(within), 'key')}"
                )
            items = list(within.items())
            items.insert(place, (key, value))
            _refill(within, items)
            ways = chain(
                self._filling(outer, part, {key: value}), inserting(self.layout, part, place, key, value)
            )
            return self.first(meant, ways, path, "inserted")
        if part.kind == "list" and isinstance(key, int):
            if not 0 <= key <= len(within):
                raise self.no_such(path)
            within.insert(key, value)
            ways = chain(self._filling(outer, part, [value]), inserting(self.layout, part, key, None, value))
            return self.first(meant, ways, path, "inserted")
        what = {"map": "a map, whose entries have keys", "list": "a list, whose elements have numbers"}
        raise self.refusal(
            outer,
            "wrong-type",
            f"{_named(outer)} is {what.get(part.kind, 'a single value, not a map or a list')}",
        )

    def first(self, meant: Value, ways: Iterator[Way], path: KeyPath, verb: str) -> str:
        """Return the first text that yields the intended data. Raises ConfigError where there is none."""
        warned = Counter((one.code, one.message) for one in self.document.findings)
        mark = self.text[: len(self.text) - len(self.layout.text)]
        reasons = []
        for way in ways:
            text = mark + apply(self.layout.text, way)
            after = parse_yaml(text, self.document.file)
            new = Counter((one.code, one.message) for one in after.findings) - warned
            errors = [one for one in after.findings if not one.warning]
            if not new and not errors and after.root is not None and same(after.root.value, meant):
                return text
            reasons += errors or after.findings
        if reasons and all(one.code == reasons[0].code for one in reasons):
            raise ConfigError(reasons[:1])
        raise self.refusal(
            path,
            "not-editable",
            f"{_named(path)} cannot be {verb} here without changing something else",
            hint="edit the file by hand",
        )

    def refusal(self, path: KeyPath, code: str, message: str, hint: str | None = None) -> ConfigError:
        if self.document.root is None:
            return ConfigError(f"{self.document.file}: {message}")
        return ConfigError([place(self.document, Problem(path, code, message, hint))])

    def no_such(self, path: KeyPath) -> ConfigError:
        """Return the error for a path that does not exist, with the key probably meant."""
        known = 0
        while known < len(path) and self.has(path[: known + 1]):
            known += 1
        part = self.layout.find(path[:known])
        assert part is not None  # just checked
        step, owner = path[min(known, len(path) - 1)], _named(path[:known])
        if part.kind == "list":
            if isinstance(step, int):
                return self.refusal(
                    path[:known],
                    "no-such-element",
                    f"there is no element {step}: {owner} has {len(part.entries)}, counted from 0",
                )
            return self.refusal(
                path[:known], "no-such-element", f"{owner} is a list: name an element, such as `[0]`"
            )
        if part.kind == "map":
            keys = [entry.key for entry in part.entries if entry.key is not None]
            hint = meant_or(str(step), keys, f"keys: {', '.join(keys[:20]) or 'none'}")
            return self.refusal(path[:known], "no-such-key", f"there is no `{step}` in {owner}", hint)
        return self.refusal(
            path[:known], "no-such-key", f"{owner} is a single value: there is no `{step}` in it"
        )


def _nothing(document: Document) -> Node:
    end = len(document.lines) - 1
    return Node(document, None, Span(end, len(document.lines[end]), end, len(document.lines[end])))


def _in_steps(edit: _Edit, path: KeyPath, value: Value) -> str | None:
    """Return the text after editing each place at which two collections differ; None where that fails."""
    changes = list(differences(edit.value(path), value, path))
    if len(changes) > MOST_STEPS or any(one.path == path for one in changes):
        return None
    text = edit.text
    try:
        for one in changes:
            if one.verb == "delete":
                text = delete(text, one.path)
            elif one.verb == "insert":
                text = insert(text, one.path, one.value, at=one.at)
            else:
                text = _Edit.of(text, "").replace(one.path, one.value)
    except ConfigError:
        return None
    return text if same(_Edit.of(text, "").value(path), value) else None


def _at(data: Value, path: KeyPath) -> Value:
    for step in path:
        data = data[step]
    return data


def _take(data: Value, path: KeyPath) -> None:
    del _at(data, path[:-1])[path[-1]]


def _refill(data: dict[str, Value], items: list[tuple[str, Value]]) -> None:
    data.clear()
    data.update(items)


def _named(path: KeyPath) -> str:
    return f"`{show_path(path)}`" if path else "the file"
