"""The differences between two collections, as edits at paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from pipeline.config.edit.values import same
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.model.json import Value


class Change(NamedTuple):
    """One edit."""

    verb: Literal["set", "insert", "delete"]
    path: KeyPath
    value: Value = None
    at: int | None = None
    """For a new key: its index."""


def differences(old: Value, new: Value, path: KeyPath) -> list[Change] | None:
    """Return the edits, in order, that turn one collection into the other; None where nothing is common."""
    found = list(_differences(old, new, path))
    return None if any(change.path == path for change in found) else found


def _differences(old: Value, new: Value, path: KeyPath) -> Iterator[Change]:
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
    yield Change("set", path, new)


def _of_maps(old: dict[str, Value], new: dict[str, Value], path: KeyPath) -> Iterator[Change]:
    for key in old:
        if key not in new:
            yield Change("delete", (*path, key))
    for key in old:
        if key in new:
            yield from _differences(old[key], new[key], (*path, key))
    for index, key in enumerate(new):
        if key not in old:
            yield Change("insert", (*path, key), new[key], index)


def _of_lists(old: list[Value], new: list[Value], path: KeyPath) -> Iterator[Change]:
    both = min(len(old), len(new))
    head = tail = 0
    while head < both and same(old[head], new[head]):
        head += 1
    while tail < both - head and same(old[-1 - tail], new[-1 - tail]):
        tail += 1
    for index in range(head, both - tail):
        yield from _differences(old[index], new[index], (*path, index))
    for index in range(len(old) - tail - 1, both - tail - 1, -1):
        yield Change("delete", (*path, index))
    for index in range(both - tail, len(new) - tail):
        yield Change("insert", (*path, index), new[index])
