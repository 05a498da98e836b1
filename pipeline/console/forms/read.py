"""Turns a webhook's YAML into a form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from pipeline.config.edit.values import ABSENT, value_at
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.console.forms.fields import body, conditions
from pipeline.console.forms.fields.constants import comes_back
from pipeline.console.forms.fields.rows import LIST, LOCKED, OBJECT, FormRow, Other, WebhookForm
from pipeline.console.forms.fields.scalars import FIELDS, text_at, written
from pipeline.console.forms.fields.trees import Node, node_of
from pipeline.model.json import Value

HEADERS: Final = ("request", "headers")
BODY: Final = ("request", "body")
WHERE: Final = ("trigger", "where")
BODY_TEXT: Final = "body-text"
"""The field of a body that is one value."""


def read(data: Value) -> WebhookForm:
    """Return the form of what a webhook's file says; also of a file that says it wrongly."""
    data = {} if data is None else data
    fields: dict[str, str] = {}
    locked: dict[str, str] = {}
    held: set[KeyPath] = set()
    for field in FIELDS:
        text = text_at(field, data)
        value = value_at(data, field.path)
        if text is None:
            locked[field.name] = "" if value is ABSENT else written(value)
        fields[field.name] = text if text is not None else ""
        held.add(field.path)
    fields["trigger"] = "changes" if value_at(data, ("trigger", "changes")) is not ABSENT else "events"
    fields["auth"] = _chosen(data, ("request", "auth"))
    fields["signature"] = _chosen(data, ("request", "signature"))
    headers, header_root = _headers(data, locked)
    where, where_root = _where(data, locked)
    kind, rows, body_root = _body(data, fields, locked)
    held |= {HEADERS, BODY, WHERE, ("limit", "per")}
    return WebhookForm(
        fields,
        headers,
        kind,
        rows,
        where,
        locked,
        tuple(_others(data, held)),
        {"header": header_root, "body": body_root, "where": where_root},
    )


def _numbered(rows: Iterable[FormRow]) -> tuple[FormRow, ...]:
    return tuple(replace(row, at=index) for index, row in enumerate(rows))


def _headers(data: Value, locked: dict[str, str]) -> tuple[tuple[FormRow, ...], Node | None]:
    value = value_at(data, HEADERS)
    if value is ABSENT:
        return (), None
    root = node_of(value)
    if root.kind != "map" and value is not None:
        locked["headers"] = written(value)
        return (), root
    return _numbered(_header(child) for child in root.children), root


def _header(node: Node) -> FormRow:
    name, value = node.key or "", node.value
    if not isinstance(value, str) or not comes_back(value) or not comes_back(name) or not name:
        return FormRow(name, LOCKED, written(value), node=node)
    return FormRow(name, "", value, node=node)


def _where(data: Value, locked: dict[str, str]) -> tuple[tuple[FormRow, ...], Node | None]:
    value = value_at(data, WHERE)
    if value is ABSENT:
        return (), None
    root = node_of(value)
    if root.kind == "leaf" and value is not None:
        locked["where"] = written(value)
        return (), root
    return _numbered(conditions.rows_of(root)), root


def _body(
    data: Value, fields: dict[str, str], locked: dict[str, str]
) -> tuple[str, tuple[FormRow, ...], Node | None]:
    fields[BODY_TEXT] = ""
    value = value_at(data, BODY)
    if value is ABSENT or value is None:
        return "default", (), None if value is ABSENT else node_of(value)
    root = node_of(value)
    if root.kind != "leaf":
        return (OBJECT if root.kind == "map" else LIST), _numbered(body.rows_of(root)), root
    kind, text = body.leaf_text(value)
    if kind == LOCKED:
        locked["body"] = text
        return LOCKED, (), root
    fields[BODY_TEXT] = value if body.is_template(str(value)) else text
    return "text", (), root


def _chosen(data: Value, path: KeyPath) -> str:
    value = value_at(data, path)
    known = {"basic", "bearer", "header", "oauth2", "standard_webhooks", "hmac"}
    return next((name for name in value if name in known), "") if isinstance(value, dict) else ""


def _others(data: Value, held: set[KeyPath], path: KeyPath = ()) -> Iterator[Other]:
    """Yield what no field and no row holds."""
    if not isinstance(data, dict):
        if data is not None or not path:
            yield Other(path, written(data))
        return
    for key, value in data.items():
        at = (*path, str(key))
        if at in held:
            continue
        if any(known[: len(at)] == at for known in held):
            yield from _others(value, held, at)
        else:
            yield Other(at, written(value))
