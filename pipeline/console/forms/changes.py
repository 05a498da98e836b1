"""The changes a person made in a form, as patches of the text it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pipeline.config.edit.differences import Patch
from pipeline.config.edit.values import ABSENT, same, value_at
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.console.forms.fields import body, conditions
from pipeline.console.forms.fields.rows import LOCKED, OBJECT, FieldError, Table, WebhookForm
from pipeline.console.forms.fields.scalars import FIELDS, Field, value_of
from pipeline.console.forms.fields.trees import Node, kept, patches
from pipeline.console.forms.read import BODY, BODY_TEXT, HEADERS, WHERE
from pipeline.model.json import Value

_GROUPS: Final[tuple[KeyPath, ...]] = (
    ("limit",),
    ("request", "auth"),
    *(("request", "auth", kind) for kind in ("basic", "bearer", "header", "oauth2")),
    ("request", "signature"),
    *(("request", "signature", kind) for kind in ("standard_webhooks", "hmac")),
)
"""Maps that go when the last of their fields is emptied, outer ones first."""


@dataclass(slots=True)
class Changes:
    """What has changed."""

    patches: list[Patch] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)
    """Fields that mean nothing as they stand: the text keeps what it had there."""
    used: dict[Table, list[int]] = field(default_factory=dict)
    """The rows of the new form that are in the text, in order."""


def changes(data: Value, before: WebhookForm, after: WebhookForm) -> Changes:
    """Return what makes one form of the other. data, before: what the file says, and its form.

    Rows of `after` that were in `before` carry its nodes. Locked fields and rows do not change.
    """
    found = Changes()
    found.patches += _fields(data, before, after, found.errors)
    found.patches += _headers(before, after, found)
    found.patches += _where(before, after, found)
    found.patches += _body(before, after, found)
    return found


# --- fields of one text


def _fields(
    data: Value, before: WebhookForm, after: WebhookForm, errors: list[FieldError]
) -> Iterator[Patch]:
    gone: dict[KeyPath, Value] = {}
    set_: list[KeyPath] = []
    for one in FIELDS:
        text = _text(one, after)
        if one.name in before.locked or text == before.fields[one.name]:
            continue
        known = value_at(data, one.path)
        try:
            value = value_of(one, text, known)
        except ValueError as error:
            errors.append(FieldError(one.name, str(error)))
            continue
        if value is ABSENT:
            if known is not ABSENT:
                gone[one.path] = known
        elif not same(value, known):
            set_.append(one.path)
            yield Patch("set", one.path, value, known)
    yield from _deleted(data, gone, set_)


def _text(one: Field, form: WebhookForm) -> str:
    """Return the text of a field; "" where another choice excludes it."""
    chosen = form.fields.get
    if one.name in ("events", "changes") and chosen("trigger", "events") != one.name:
        return ""
    for group, name in (("auth", one.path[2:3]), ("signature", one.path[2:3])):
        if one.path[1:2] == (group,) and chosen(group, "") != name[0]:
            return ""
    return form.fields.get(one.name, "")


def _deleted(data: Value, gone: dict[KeyPath, Value], stays: list[KeyPath]) -> Iterator[Patch]:
    done: list[KeyPath] = []
    for group in _GROUPS:
        if any(path[: len(group)] == group for path in stays):
            continue
        inside = value_at(data, group)
        leaves = set(_leaves(inside, group)) - {("limit", "per")}
        if leaves and leaves <= gone.keys() and not any(group[: len(one)] == one for one in done):
            done.append(group)
            yield Patch("delete", group, was=inside)
    for path, known in gone.items():
        if not any(path[: len(one)] == one for one in done):
            yield Patch("delete", path, was=known)


def _leaves(value: Value, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif value is not ABSENT:
        yield path


# --- rows


def _headers(before: WebhookForm, after: WebhookForm, found: Changes) -> Iterator[Patch]:
    known = before.roots["header"]
    if "headers" in before.locked:
        return
    root = Node(None, "map", was=known)
    used = found.used["header"] = []
    unchanged = {row.node.key for row in after.headers if row.node is not None and row.node.key == row.key}
    for index, row in enumerate(after.headers):
        node = row.node
        names = {one.key for one in root.children}
        if node is None or node.key != row.key:
            names |= unchanged
        if row.is_locked or (node is not None and row.key.strip() == node.key and row.value == node.leaf):
            made = None if node is None else kept(node)
        elif not row.key.strip() and not row.value.strip() and node is None:
            continue
        else:
            made = Node(row.key.strip(), "leaf", row.value.strip(), was=node)
            problem = "a name is missing" if not row.key.strip() else ""
            if body.is_template(row.key):
                problem = "a name is constant: it cannot hold a template"
            if made.key in names:
                problem = f"there is a header `{made.key}` already"
            if problem:
                found.errors.append(FieldError(f"header-{index}-name", problem))
                made = None if node is None or node.key in names else kept(node)
        if made is not None:
            root.children.append(made)
            used.append(index)
    yield from _rooted(known, root if root.children else None, HEADERS)


def _where(before: WebhookForm, after: WebhookForm, found: Changes) -> Iterator[Patch]:
    if "where" in before.locked:
        return
    known = before.roots["where"]
    root, errors, found.used["where"] = conditions.grow(after.conditions, known)
    found.errors += errors
    yield from _rooted(known, root, WHERE)


def _rooted(known: Node | None, root: Node | None, path: KeyPath) -> Iterator[Patch]:
    if root is None and known is not None and not known.children:
        return  # an empty map, or nothing behind its key, may stay
    yield from patches(known, root, path)


def _body(before: WebhookForm, after: WebhookForm, found: Changes) -> Iterator[Patch]:
    known, kind = before.roots["body"], after.body_kind
    if LOCKED in (before.body_kind, kind):
        return
    if kind == "default":
        if known is not None and before.body_kind != "default":
            yield Patch("delete", BODY, was=known.value)
        return
    if kind == "text":
        yield from _one_value(before, after, found)
        return
    as_before = known is not None and known.kind == ("map" if kind == OBJECT else "list")
    grown = body.grow(kind, after.body, known if as_before else None)
    found.errors += grown.errors
    found.used["body"] = grown.rows
    grown.root.was = known
    if known is None or not as_before:
        value = grown.root.value
        if known is None and not value and not after.body:
            yield Patch("set", BODY, {} if kind == OBJECT else [])
        elif value or known is not None:
            yield Patch("set", BODY, value, ABSENT if known is None else known.value)
        return
    yield from patches(known, grown.root, BODY)


def _one_value(before: WebhookForm, after: WebhookForm, found: Changes) -> Iterator[Patch]:
    known, text = before.roots["body"], after.fields.get(BODY_TEXT, "")
    if before.body_kind == "text" and text == before.fields[BODY_TEXT]:
        return
    if not text.strip():
        if before.body_kind == "text":
            found.errors.append(FieldError(BODY_TEXT, "a value is missing"))
        return
    try:
        value = body.leaf_value("template" if body.is_template(text) else "constant", text)
    except ValueError as error:
        found.errors.append(FieldError(BODY_TEXT, str(error)))
        return
    was = ABSENT if known is None else known.value
    if not same(value, was):
        yield Patch("set", BODY, value, was)
