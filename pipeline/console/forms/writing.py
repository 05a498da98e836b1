"""Applies patches to a text; a new webhook gets a text of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pipeline.config.edit.differences import Patch
from pipeline.config.edit.operations import delete, editable, insert, move, rename, set_value
from pipeline.config.edit.paths import show_path
from pipeline.config.edit.values import ABSENT, same, value_at
from pipeline.config.models.field_types import fields_of, is_section
from pipeline.config.models.webhooks.webhook import Request, Trigger, WebhookFile
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.model.errors import ConfigError
from pipeline.model.json import Value

_ORDER: Final[Mapping[KeyPath, Sequence[str]]] = {
    path: [name for name, _, _ in fields_of(section)]
    for path, section in (((), WebhookFile), (("trigger",), Trigger), (("request",), Request))
    if is_section(section)
}
"""In which order a new key comes among the ones that are there."""


class Refused(NamedTuple):
    """A patch that does not fit a text."""

    patch: Patch
    reason: str


class Applied(NamedTuple):
    """A text with patches."""

    text: str
    refused: list[Refused]


def apply(text: str, patches: list[Patch], file: str = "") -> Applied:
    """Return the text after the patches that mean what stands there.

    Raises ConfigError where it is no YAML.
    """
    refused: list[Refused] = []
    for patch in patches:
        data = data_of(text, file)
        found = value_at(data, patch.path) if patch.verb != "insert" else ABSENT
        if patch.verb != "insert" and not _is(found, patch.was):
            if patch.verb == "set" and same(found, patch.value):
                continue  # somebody else said the same
            refused.append(Refused(patch, f"`{show_path(patch.path)}` has changed since"))
            continue
        try:
            text = _applied(text, data, patch, file)
        except ConfigError as error:
            refused.append(Refused(patch, error.findings[0].message if error.findings else str(error)))
    return Applied(text, refused)


def _is(found: Value, was: Value) -> bool:
    if found is ABSENT or was is ABSENT:
        return found is was or (found is None and was is ABSENT)
    return same(found, was)


def data_of(text: str, file: str = "") -> Value:
    """Return what a text says. Raises ConfigError where it is no YAML."""
    return editable(text, file).data


def _applied(text: str, data: Value, patch: Patch, file: str) -> str:
    path = patch.path
    match patch.verb:
        case "delete":
            return delete(text, path, file=file)
        case "rename":
            return rename(text, path, patch.value, file=file)
        case "move":
            return move(text, path, patch.at or 0, file=file)
        case "insert":
            within = value_at(data, path[:-1])
            size = len(within) if isinstance(within, (dict, list)) else 0
            if isinstance(path[-1], int):
                path = (*path[:-1], min(path[-1], size))
            return insert(
                text, path, patch.value, at=None if patch.at is None else min(patch.at, size), file=file
            )
        case "set":
            return _set(text, data, path, patch.value, file)


def _set(text: str, data: Value, path: KeyPath, value: Value, file: str) -> str:
    known = 0
    while known < len(path) and value_at(data, path[: known + 1]) is not ABSENT:
        known += 1
    within = value_at(data, path[:known])
    order = _ORDER.get(path[:known])
    if known == len(path) or order is None or path[known] not in order or not isinstance(within, dict):
        return set_value(text, path, value, file=file)
    for step in reversed(path[known + 1 :]):
        value = {str(step): value}
    before = order[: order.index(str(path[known]))]
    at = max((index + 1 for index, key in enumerate(within) if key in before), default=0)
    return insert(text, path[: known + 1], value, at=at, file=file)
