"""The differences between two values of a file, as edits at paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pipeline.config.edit.values import ABSENT, same
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.model.json import Value


class Patch(NamedTuple):
    """One edit of a text, and what must stand there for it to be meant."""

    verb: Literal["set", "insert", "delete", "rename", "move"]
    path: KeyPath
    value: Any = None
    """What comes there; of a rename the new key."""
    was: Any = ABSENT
    """What stands there before."""
    at: int | None = None
    """Of a new key, or what is moved: its place among the others."""


def differences(old: Value, new: Value, path: KeyPath) -> Iterator[Patch]:
    """Yield the edits, in order, that make one value of the other.

    Where the two have nothing in common it is one, at the path itself.
    """
    if same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        common = [key for key in old if key in new]
        if common and common == [key for key in new if key in old]:
            yield from _of_maps(old, new, path)
            return
    elif isinstance(old, list) and isinstance(new, list) and old and new:
        yield from _of_lists(old, new, path)
        return
    yield Patch("set", path, new, old)


def _of_maps(old: dict[str, Value], new: dict[str, Value], path: KeyPath) -> Iterator[Patch]:
    for key in old:
        if key not in new:
            yield Patch("delete", (*path, key), was=old[key])
    for key in old:
        if key in new:
            yield from differences(old[key], new[key], (*path, key))
    for index, key in enumerate(new):
        if key not in old:
            yield Patch("insert", (*path, key), new[key], at=index)


def _of_lists(old: list[Value], new: list[Value], path: KeyPath) -> Iterator[Patch]:
    both = min(len(old), len(new))
    head = tail = 0
    while head < both and same(old[head], new[head]):
        head += 1
    while tail < both - head and same(old[-1 - tail], new[-1 - tail]):
        tail += 1
    for index in range(head, both - tail):
        yield from differences(old[index], new[index], (*path, index))
    for index in range(len(old) - tail - 1, both - tail - 1, -1):
        yield Patch("delete", (*path, index), was=old[index])
    for index in range(both - tail, len(new) - tail):
        yield Patch("insert", (*path, index), new[index])
