"""Walks the JSON Schemas of config files along a path: which fields are allowed there, what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from pipeline.config.files import SHAPES
from pipeline.model.errors import UsageError
from pipeline.model.json import Value
from pipeline.operate.schemas.files import schema

KINDS: Final = {"webhooks": "webhook", "labels": "label", SHAPES: "shape"}
"""Kinds of files by their folder."""


@lru_cache(len(KINDS))
def schema_of(kind: str) -> Value:
    """Return the JSON Schema of a kind of file."""
    return schema(kind)


def schema_for(file: str) -> Value:
    """Return the JSON Schema of a file, with the meaning of every field. Raises UsageError."""
    kind = KINDS.get(file.partition("/")[0])
    if kind is None:
        raise UsageError(f"`{file}` has no schema: want a file in {', '.join(KINDS)}")
    return schema_of(kind)


def nodes_at(root: Value, path: tuple[str | int, ...]) -> list[Value]:
    """Return every part of a schema that may describe what stands at a path."""
    nodes = list(_spread(root, root))
    for part in path:
        found: list[Value] = []
        for node in nodes:
            found += _inner(node, part)
        nodes = [spread for one in found for spread in _spread(root, one)]
    return nodes


def _inner(node: Value, part: str | int) -> Iterator[Value]:
    if isinstance(part, int):
        if isinstance(node.get("items"), dict):
            yield node["items"]
        return
    known = node.get("properties", {}).get(part)
    if known is not None:
        yield known
        return
    for pattern, one in node.get("patternProperties", {}).items():
        if re.search(pattern, part):
            yield one
            return
    if isinstance(node.get("additionalProperties"), dict):
        yield node["additionalProperties"]


def _spread(root: Value, node: Value, depth: int = 0) -> Iterator[Value]:
    """Yield a part and its alternatives."""
    if not isinstance(node, dict) or depth > 20:
        return
    yield node
    if "$ref" in node:
        name = str(node["$ref"]).removeprefix("#/$defs/")
        yield from _spread(root, root["$defs"][name], depth + 1)
    for kind in ("anyOf", "oneOf"):
        for one in node.get(kind, ()):
            yield from _spread(root, one, depth + 1)


def keys_of(nodes: list[Value]) -> dict[str, str]:
    """Return the fields that may stand there, with their meaning."""
    found: dict[str, str] = {}
    for node in nodes:
        for name, one in node.get("properties", {}).items():
            if isinstance(one, dict):
                found.setdefault(name, str(one.get("description", "")))
    return found


def values_of(nodes: list[Value]) -> dict[str, str]:
    """Return the constants that may stand there, written as YAML, and examples."""
    found: dict[str, str] = {}
    for node in nodes:
        for value in (*node.get("enum", ()), *([node["const"]] if "const" in node else ())):
            found.setdefault(_written(value), "")
        kinds = node.get("type", ())
        if "boolean" in ([kinds] if isinstance(kinds, str) else kinds) and "enum" not in node:
            found |= {"true": "", "false": ""}
    for node in nodes:
        if node.get("default") is not None and not isinstance(node["default"], (dict, list)):
            found[_written(node["default"])] = "what it is if nothing is said"
        for example in node.get("examples", ()):
            if not isinstance(example, (dict, list)):
                found.setdefault(_written(example), "for example")
    return found


def _written(value: Value) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    return "null" if value is None else str(value)
