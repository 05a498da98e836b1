"""Merges a form and a YAML pane that were posted together into one text, and makes its form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Final

from pipeline.console.forms.changes import Changes, changes
from pipeline.console.forms.fields.rows import TABLES, FieldError, FormRow, WebhookForm, with_rows
from pipeline.console.forms.posted import act, posted
from pipeline.console.forms.read import read
from pipeline.console.forms.writing import Refused, apply, data_of
from pipeline.model.errors import ConfigError
from pipeline.model.findings import Finding

_BOM: Final = "\ufeff"


@dataclass(slots=True, frozen=True)
class Settled:
    """What is to be shown after a browser has sent a form and a text."""

    base: str
    """The text that the form is of."""
    yaml: str
    """What the YAML pane holds; other than `base` only where it cannot be read."""
    form: WebhookForm
    errors: tuple[FieldError, ...] = ()
    refused: tuple[Refused, ...] = ()
    """Changes of the form that do not fit a text edited at the same time."""
    unread: tuple[Finding, ...] = ()
    """Why the YAML pane cannot be read."""

    @property
    def is_whole(self) -> bool:
        """Whether all that a person has typed stands in the text."""
        return not (self.errors or self.refused or self.unread)


def opened(text: str) -> Settled:
    """Return a text as a page begins with it."""
    try:
        return Settled(text, text, read(data_of(text)))
    except ConfigError as error:
        return Settled("", text, read(None), unread=tuple(error.findings))


def settle(
    base: str,
    yaml: str,
    pairs: Iterable[tuple[str, str]],
    do: str = "",
    file: str = "",
    *,
    complete: Callable[[WebhookForm], WebhookForm] = lambda form: form,
) -> Settled:
    """Return what a browser has sent, as one.

    base: the text from which its form was made. yaml: what the YAML pane holds; where that was edited the
    form is read from it anew, and what was changed in the form is put into it. do: the button that was
    pressed. complete: fills in what the person has left open. Raises UsageError for a form that is none of
    ours.
    """
    data = data_of(base, file)
    before = read(data)
    sent = complete(act(posted(pairs, before), do))
    yaml = as_before(yaml, base)
    found = changes(data, before, sent)
    if yaml == base:
        return _one(base, before, sent, found, file)
    try:
        edited = data_of(yaml, file)
    except ConfigError as error:
        return Settled(base, yaml, sent, tuple(found.errors), unread=tuple(error.findings))
    applied = apply(yaml, found.patches, file)
    form = read(data_of(applied.text, file) if found.patches else edited)
    form = _with_waiting(form, sent, found)
    return Settled(applied.text, applied.text, form, tuple(found.errors), tuple(applied.refused))


def _one(base: str, before: WebhookForm, sent: WebhookForm, found: Changes, file: str) -> Settled:
    applied = apply(base, found.patches, file)
    if applied.refused:  # the text stays whole, and what was typed as it was
        return Settled(base, base, sent, tuple(found.errors), tuple(applied.refused))
    now = read(data_of(applied.text, file)) if found.patches else before
    form = replace(now, fields={**now.fields, **sent.fields}, body_kind=sent.body_kind)
    for table in TABLES:
        rows = _renumbered(sent.rows(table), now.rows(table), found.used.get(table, []))
        if rows is None:
            form = _with_waiting(now, sent, found)
            break
        form = with_rows(form, table, rows)
    return Settled(applied.text, applied.text, form, tuple(found.errors))


def _renumbered(sent: Sequence[FormRow], now: Sequence[FormRow], used: Sequence[int]) -> list[FormRow] | None:
    """Return rows as they were typed, each with its place in the text as it is now; None: they do not fit."""
    if len(used) != len(now):
        return None
    places = {index: at for at, index in enumerate(used)}
    rows = []
    for index, row in enumerate(sent):
        at = places.get(index)
        known = None if at is None else now[at]
        if known is not None and known.is_locked and not row.is_locked:
            row = known  # it was typed, and is more than a row can hold
        rows.append(replace(row, at=at, node=None if known is None else known.node))
    return rows


def _with_waiting(form: WebhookForm, sent: WebhookForm, found: Changes) -> WebhookForm:
    """Return a form that was read, with the rows that a person has not finished behind its own."""
    for table in TABLES:
        used = set(found.used.get(table, ()))
        waiting = [
            replace(row, at=None, node=None, depth=0)
            for index, row in enumerate(sent.rows(table))
            if index not in used and not row.is_locked and row.depth == 0 and (row.key or row.value)
        ]
        if waiting:
            form = with_rows(form, table, (*form.rows(table), *waiting))
    return form


def as_before(yaml: str, base: str) -> str:
    """Return a text from a browser with the byte order mark and the line ends of the one it was made from.

    Browsers send every line end as CR LF, and no mark.
    """
    mark = _BOM if base.startswith(_BOM) else ""
    old, new = _lines(base.removeprefix(_BOM)), _lines(yaml.removeprefix(_BOM))
    texts, wanted = [line for line, _ in old], [line for line, _ in new]
    if texts == wanted:
        return base
    ends = {end for _, end in old if end}
    usual = ends.pop() if len(ends) == 1 else "\n"
    result = [usual] * len(wanted)
    if ends:  # more than one kind
        matcher = SequenceMatcher(None, texts, wanted, autojunk=False)
        for a, b, size in matcher.get_matching_blocks():
            for offset in range(size):
                result[b + offset] = old[a + offset][1] or usual
    lines = [line + (end if had else "") for (line, had), end in zip(new, result, strict=True)]
    return mark + "".join(lines)


def _lines(text: str) -> list[tuple[str, str]]:
    """Return each line and how it ends; the last one without an end, if it is not empty."""
    parts = re.split("(\r\n|\r|\n)", text)
    lines = list(zip(parts[::2], [*parts[1::2], ""], strict=True))
    return lines if lines[-1][0] else lines[:-1]
