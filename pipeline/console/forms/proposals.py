"""What a new webhook starts with: a proposed id, and the event it is made for."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from pipeline.config.edit.values import value_at
from pipeline.console.forms.fields.body import is_template, path_text
from pipeline.console.forms.fields.constants import meant_list
from pipeline.console.forms.fields.rows import EVENT, USER, WebhookForm
from pipeline.language.path_syntax import EVENT_ROOTS, Path, PathError, parse_path
from pipeline.match.operators.table import OPERATORS
from pipeline.model.json import Value

_COMMON: Final = frozenset({"www", "api", "hooks", "hook", "webhook", "webhooks", "app", "events"})
_MOST: Final = 40
_PATHS: Final = re.compile(r"(?:event|user)\.properties\.[\w$.-]+")
# Each looks for a name at its beginning only: from within a long one every start would be a dead end.
_NUMBERS: Final = re.compile(r"(?<![\w$.-])([\w$.-]+) (?:\| (?:format_number|times|plus|round)|[<>])")
_LISTS: Final = re.compile(r"""\$for: *["']?\{\{ *([\w$.-]+)|(?<![\w$.-])([\w$.-]+) \| map:""")
_OF_ITEMS: Final = re.compile(r"""(?:\bitem\.|\| map: ["'])([\w$-]+)""")


def proposed_id(form: WebhookForm, taken: Collection[str]) -> str:
    """Return an id that says where a webhook sends, and for what; "" while nothing is known."""
    host = re.split(r"[/:?#]", re.sub(r"^[a-z]+://|^\$\{[^}]*:-[a-z]+://", "", form.fields["url"].strip()))[0]
    names = [part for part in host.lower().split(".") if part not in _COMMON and not part.isdigit()]
    where = max(names[:-1] or names, key=len) if names else ("webhook" if host else "")
    events = meant_list(form.fields["events"] or form.fields["changes"], names=True)
    what = str(events[0]) if events and events[0] != "*" else "all" if events else ""
    found = re.sub(r"[^a-z0-9]+", "-", f"{where}-{what}".lower()).strip("-")[:_MOST].strip("-")
    if not found:
        return ""
    number, free = 2, found
    while free in taken:
        free, number = f"{found}-{number}", number + 1
    return free


def is_secret_name(name: str) -> bool:
    """Return whether a header of this name carries what nobody should read."""
    return re.search(r"auth|token|secret|api-?key|password|cookie|signature", name.lower()) is not None


def host_of(url: str) -> str:
    """Return the host of an address, as it is written."""
    found = re.match(r"\$\{[^}]*:-([^}]*)\}(.*)", url)
    try:
        return urlsplit(found[1] + found[2] if found is not None else url).netloc or url
    except ValueError:
        return url


def made_up(form: WebhookForm, text: str) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return an event, as native JSON, that the conditions of the form let through as far as they can be
    guessed, and the properties of its user. text: the YAML, for the paths that its templates read.
    """
    events = meant_list(form.fields["events"], names=True)
    name = next((str(one) for one in events if one != "*"), "Purchase")
    event: dict[str, Value] = {"name": name, "user_id": "u1", "properties": {}}
    user: dict[str, Value] = {}
    for found in _PATHS.findall(text):
        _put(found, "example", event, user)
    for row in form.body:
        if row.kind in (EVENT, USER) and row.value and not is_template(row.value):
            with suppress(ValueError):  # no path, and told at its field
                _put(path_text(row.kind, row.value), "example", event, user)
    for found in _NUMBERS.findall(text):
        _put(found, 100, event, user)
    item: dict[str, Value] = dict.fromkeys(_OF_ITEMS.findall(text), 1)
    for looped, mapped in _LISTS.findall(text):
        _put(looped or mapped, [item], event, user)
    for row in form.conditions:
        if not row.is_locked:
            _put(row.key, _fitting(row.kind, row.value), event, user)
    return event, user


def _fitting(operator: str, text: str) -> Value:
    """Return a value for which a condition holds, where that is easy."""
    wants = OPERATORS[operator].wants if operator in OPERATORS else "any"
    try:
        values = meant_list(text)
    except ValueError:
        return "example"
    first = values[0] if values else "example"
    if operator in ("gt", "lt") and isinstance(first, (int, float)) and not isinstance(first, bool):
        return first + (1 if operator == "gt" else -1)
    if operator in ("ne", "not_in", "not_contains") or wants in ("date",):
        return "example"
    return "example" if wants == "flag" else first


def _put(text: str, value: Value, event: dict[str, Value], user: dict[str, Value]) -> None:
    try:
        path = parse_path(text, EVENT_ROOTS)
    except PathError:
        return
    if path.parts[:1] != ("properties",) or not _is_plain(path):
        return
    within = event["properties"] if path.root == "event" else user
    for part in path.parts[1:-1]:
        within = within.setdefault(str(part), {})
        if not isinstance(within, dict):
            return
    if value != "example" or value_at(within, (str(path.parts[-1]),)) is not value:
        within[str(path.parts[-1])] = value


def _is_plain(path: Path) -> bool:
    return len(path.parts) > 1 and all(isinstance(part, str) for part in path.parts)
