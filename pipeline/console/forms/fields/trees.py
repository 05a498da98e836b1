"""Values as trees whose nodes remember the node of the original text they came from; for patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from pipeline.config.edit.differences import Patch
from pipeline.config.edit.values import same
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.model.json import Value


@dataclass(slots=True, eq=False)
class Node:
    """One value of a file."""

    key: str | None
    """None: an element of a list, or the root."""
    kind: Literal["map", "list", "leaf"]
    leaf: Value = None
    children: list[Node] = field(default_factory=list)
    was: Node | None = None
    """The node of the text before that it is; None: it is new."""

    @property
    def value(self) -> Value:
        """The value as plain data."""
        if self.kind == "map":
            return {str(child.key): child.value for child in self.children}
        if self.kind == "list":
            return [child.value for child in self.children]
        return self.leaf


def node_of(value: Value, key: str | None = None) -> Node:
    """Return a value as a tree."""
    if isinstance(value, dict):
        return Node(key, "map", None, [node_of(one, name) for name, one in value.items()])
    if isinstance(value, list):
        return Node(key, "list", None, [node_of(one) for one in value])
    return Node(key, "leaf", value)


def kept(node: Node) -> Node:
    """Return a node that stays as it is."""
    return Node(node.key, node.kind, node.leaf, [kept(child) for child in node.children], node)


def patches(before: Node | None, after: Node | None, path: KeyPath) -> Iterator[Patch]:
    """Yield the edits, in order, that make one tree of another. Each path is that at the time of its edit."""
    if before is None:
        if after is not None:
            yield Patch("set", path, after.value)
    elif after is None:
        yield Patch("delete", path, was=before.value)
    elif not _comparable(before, after):
        if not same(before.value, after.value):
            yield Patch("set", path, after.value, before.value)
    elif before.kind == "map":
        yield from _of_maps(before, after, path)
    else:
        yield from _of_lists(before, after, path)


def _comparable(before: Node, after: Node) -> bool:
    """Return whether one can be made of the other entry by entry."""
    if before.kind == "leaf" or before.kind != after.kind:
        return False
    stayed = [child.was for child in after.children if child.was is not None]
    if not stayed or sum(child in stayed for child in before.children) != len(stayed):
        return False  # all is new, or something comes from elsewhere
    if before.kind == "list":
        return True
    # Keys that are given in a circle have no order in which to rename them.
    taken = {child.key for child in stayed}
    return not any(
        child.was is not None and child.key != child.was.key and child.key in taken
        for child in after.children
    )


def _of_maps(before: Node, after: Node, path: KeyPath) -> Iterator[Patch]:
    stayed = {id(child.was) for child in after.children}
    for child in before.children:
        if id(child) not in stayed:
            yield Patch("delete", (*path, str(child.key)), was=child.value)
    for child, _, to in _moved(before, after):
        yield Patch("move", (*path, str(child.key)), was=child.value, at=to)
    for child in after.children:
        if child.was is not None:
            if child.key != child.was.key:
                yield Patch("rename", (*path, str(child.was.key)), child.key, child.was.value)
            yield from patches(child.was, child, (*path, str(child.key)))
    for index, child in enumerate(after.children):
        if child.was is None:
            yield Patch("insert", (*path, str(child.key)), child.value, at=index)


def _of_lists(before: Node, after: Node, path: KeyPath) -> Iterator[Patch]:
    stayed = {id(child.was) for child in after.children}
    for index in range(len(before.children) - 1, -1, -1):
        if id(before.children[index]) not in stayed:
            yield Patch("delete", (*path, index), was=before.children[index].value)
    for child, at, to in _moved(before, after):
        yield Patch("move", (*path, at), was=child.value, at=to)
    rank = 0
    for child in after.children:
        if child.was is not None:
            yield from patches(child.was, child, (*path, rank))
            rank += 1
    for index, child in enumerate(after.children):
        if child.was is None:
            yield Patch("insert", (*path, index), child.value)


def _moved(before: Node, after: Node) -> Iterator[tuple[Node, int, int]]:
    """Yield which of those that stay goes from which place to which, one after the other."""
    wanted = [child.was for child in after.children if child.was is not None]
    now = [child for child in before.children if child in wanted]
    for to, child in enumerate(wanted):
        if now[to] is not child:
            at = now.index(child)
            now.insert(to, now.pop(at))
            yield child, at, to
