"""Reads a posted form: flat names such as ``header-0-name``, strict and bounded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pipeline.console.forms.fields.constants import normal
from pipeline.console.forms.fields.rows import (
    BODIES,
    CONSTANT,
    KINDS,
    LIST,
    LOCKED,
    OBJECT,
    TABLES,
    FormRow,
    Table,
    WebhookForm,
    with_rows,
)
from pipeline.console.forms.fields.scalars import BY_NAME
from pipeline.console.forms.read import BODY_TEXT
from pipeline.model.errors import UsageError

MAX_ROWS: Final = 2_000
_ROW = re.compile(r"(header|body|where)-(0|[1-9][0-9]{0,4})-([a-z]+)")
_PARTS: Final[Mapping[str, Mapping[str, str]]] = {
    "header": {"name": "key", "value": "value", "at": "at"},
    "body": {"key": "key", "kind": "kind", "value": "value", "depth": "depth", "at": "at"},
    "where": {"path": "key", "op": "kind", "value": "value", "at": "at"},
}
_CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "trigger": frozenset({"events", "changes"}),
    "auth": frozenset({"", "basic", "bearer", "header", "oauth2"}),
    "signature": frozenset({"", "standard_webhooks", "hmac"}),
    "body-kind": frozenset({*BODIES, LOCKED}),
}


def is_field(name: str) -> bool:
    """Return whether a posted name is one of a webhook's form."""
    return name in BY_NAME or name in _CHOICES or name == BODY_TEXT or _ROW.fullmatch(name) is not None


def posted(pairs: Iterable[tuple[str, str]], before: WebhookForm) -> WebhookForm:
    """Return the form that a browser sends. before: that of the text from which its page was made.

    A locked row or field stays what it was, whatever is sent, and a field that is not sent is as before.
    Raises UsageError for names and values that no page of ours has.
    """
    fields = dict(before.fields)
    kind = before.body_kind
    found: dict[str, dict[int, dict[str, str]]] = {table: {} for table in TABLES}
    for name, value in pairs:
        row = _ROW.fullmatch(name)
        if row is not None:
            table, number, part = row[1], int(row[2]), row[3]
            attribute = _PARTS[table].get(part)
            if attribute is None or attribute in found[table].setdefault(number, {}):
                raise UsageError(f"the form has no field `{name}`, or not twice")
            found[table][number][attribute] = value
            if len(found[table]) > MAX_ROWS:
                raise UsageError(f"a form holds {MAX_ROWS:,} rows of a kind: edit the YAML")
        elif name in _CHOICES:
            if value not in _CHOICES[name]:
                raise UsageError(f"`{name}` cannot be {value[:40]!r}")
            if name == "body-kind":
                kind = kind if LOCKED in (kind, value) else value
            else:
                fields[name] = value
        elif name in BY_NAME or name == BODY_TEXT:
            if name not in before.locked:
                fields[name] = normal(value)
        else:
            raise UsageError(f"the form has no field `{name[:40]}`")
    rows = {table: _rows(table, found[table], before.rows(table)) for table in TABLES}
    return WebhookForm(
        fields,
        _with_locked(rows["header"], before.headers),
        kind,
        _with_locked(_keyed(rows["body"], kind), before.body),
        _with_locked(rows["where"], before.conditions),
        before.locked,
        before.others,
        before.roots,
    )


def _rows(table: Table, found: Mapping[int, Mapping[str, str]], before: Sequence[FormRow]) -> list[FormRow]:
    rows: list[FormRow] = []
    seen: set[int] = set()
    for number in sorted(found):
        given = found[number]
        at = _number(given.get("at", ""), len(before))
        known = before[at] if at is not None else None
        if at is not None:
            if at in seen:
                raise UsageError(f"a row of the form is there twice: {table} {at}")
            seen.add(at)
        depth = _number(given.get("depth", ""), MAX_ROWS) or 0
        if known is not None and known.is_locked:
            rows.append(replace(known, depth=depth))
            continue
        kind = given.get("kind", "" if table == "header" else CONSTANT if table == "body" else "eq")
        if kind == LOCKED or (table == "body" and kind not in KINDS):
            raise UsageError(f"there is no kind {kind[:40]!r}")
        rows.append(
            FormRow(
                _line(given.get("key", ""), known.key if known is not None else ""),
                kind,
                _line(given.get("value", ""), known.value if known is not None else ""),
                depth,
                at=at,
                node=known.node if known is not None else None,
            )
        )
    return rows


def _line(text: str, before: str) -> str:
    """Return a text as it was typed; that of before, to the byte, where it is the same to a browser."""
    text = normal(text)
    return before if text == normal(before) else text


def _number(text: str, below: int) -> int | None:
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) >= below:
        raise UsageError(f"{text[:20]!r} is no number of a row: load the page again")
    return int(text)


def _keyed(rows: Sequence[FormRow], kind: str) -> list[FormRow]:
    """Return the rows of a body, each in the row that holds it."""
    holders = [kind != LIST]
    found = []
    for row in rows:
        depth = min(row.depth, len(holders) - 1)
        del holders[depth + 1 :]
        found.append(replace(row, depth=depth, keyed=holders[depth]))
        holders.append(row.kind != LIST)
    return found


def _with_locked(rows: Sequence[FormRow], before: Sequence[FormRow]) -> tuple[FormRow, ...]:
    """Return the rows with the locked ones that were not sent, where what holds them is still there."""
    found = list(rows)
    present = {row.at for row in rows}
    for index, row in enumerate(before):
        if not row.is_locked or index in present:
            continue
        holder = next((at for at in range(index - 1, -1, -1) if before[at].depth < row.depth), None)
        if holder is not None and holder not in present:
            continue
        place = 0 if holder is None else _place(found, holder) + 1
        for at in range(index - 1, -1 if holder is None else holder, -1):
            if at in present and before[at].depth == row.depth:
                place = _end(found, _place(found, at))
                break
        found.insert(place, row)
        present.add(index)
    return tuple(found)


def _place(rows: Sequence[FormRow], at: int) -> int:
    return next(index for index, row in enumerate(rows) if row.at == at)


def _end(rows: Sequence[FormRow], index: int) -> int:
    """Return where the row and all that it holds end."""
    end = index + 1
    while end < len(rows) and rows[end].depth > rows[index].depth:
        end += 1
    return end


# --- buttons

_ADD = re.compile(r"add-(header|condition|key)(?:-(0|[1-9][0-9]{0,4}))?")
_REMOVE = re.compile(r"remove-(header|body|where)-(0|[1-9][0-9]{0,4})")
_MOVE = re.compile(r"move-(header|body|where)-(0|[1-9][0-9]{0,4})-(up|down)")


def act(form: WebhookForm, do: str) -> WebhookForm:
    """Return the form after a button: ``add-header``, ``add-key-3`` (in row 3), ``remove-body-3``,
    ``move-where-1-up``, ...

    Other words change nothing. Raises UsageError for a row that is not there, or locked.
    """
    if (found := _ADD.fullmatch(do)) is not None:
        return _added(form, found[1], None if found[2] is None else int(found[2]))
    if (found := _REMOVE.fullmatch(do)) is not None:
        table: Table = found[1]  # type: ignore[assignment]  # the pattern says so
        rows, index = form.rows(table), int(found[2])
        if index >= len(rows) or rows[index].is_locked:
            raise UsageError(f"there is no row {index} that could be removed")
        return with_rows(form, table, (*rows[:index], *rows[_end(rows, index) :]))
    if (found := _MOVE.fullmatch(do)) is not None:
        table = found[1]  # type: ignore[assignment]  # the pattern says so
        moved = moved_rows(form.rows(table), int(found[2]), up=found[3] == "up")
        return form if moved is None else with_rows(form, table, moved)
    return form


def moved_rows(rows: Sequence[FormRow], index: int, *, up: bool) -> tuple[FormRow, ...] | None:
    """Return the rows after one, with all that it holds, has changed places with its neighbour; None where it
    has none on that side. Raises UsageError for a row that is not there.
    """
    if index >= len(rows):
        raise UsageError(f"there is no row {index} that could be moved")
    first, second = _neighbours(rows, index, up=up)
    if first is None or second is None:
        return None
    held = [*rows[:index], replace(rows[index], is_moved=True), *rows[index + 1 :]]
    end = _end(rows, second)
    return (*held[:first], *held[second:end], *held[first:second], *held[end:])


def _neighbours(rows: Sequence[FormRow], index: int, *, up: bool) -> tuple[int | None, int | None]:
    """Return where the two begin that would change places; None: there is no such row."""
    depth = rows[index].depth
    if up:
        before = next((at for at in range(index - 1, -1, -1) if rows[at].depth <= depth), None)
        return (before if before is not None and rows[before].depth == depth else None), index
    end = _end(rows, index)
    return index, (end if end < len(rows) and rows[end].depth == depth else None)


def movable(rows: Sequence[FormRow], index: int, *, up: bool) -> bool:
    """Return whether a row has a neighbour on that side."""
    return None not in _neighbours(rows, index, up=up)


def _added(form: WebhookForm, what: str, index: int | None) -> WebhookForm:
    if what == "header":
        return replace(form, headers=(*form.headers, FormRow(kind="")))
    if what == "condition":
        return replace(form, conditions=(*form.conditions, FormRow(kind="eq")))
    if index is None:
        if form.body_kind in (LOCKED, "text"):
            raise UsageError("this body is one value: choose Object first")
        kind = OBJECT if form.body_kind == "default" else form.body_kind
        return replace(form, body_kind=kind, body=(*form.body, FormRow(keyed=kind != LIST)))
    if index >= len(form.body) or form.body[index].kind not in (OBJECT, LIST):
        raise UsageError(f"row {index} holds no others")
    outer = form.body[index]
    new = FormRow(depth=outer.depth + 1, keyed=outer.kind != LIST)
    end = _end(form.body, index)
    return replace(form, body=(*form.body[:end], new, *form.body[end:]))
