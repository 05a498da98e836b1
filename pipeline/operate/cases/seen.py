"""A tap line turned into a test: the user as known, the event, and the request made, or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.config.edit.writing import Writer
from pipeline.model.json import Value

_LEFT_OUT: Final = frozenset({"webhook-id"})
"""Headers that depend on where the event was read."""
_OF_CHANGES: Final = frozenset({"type", "name", "kind", "properties", "received_at"})
"""Fields of a change that its update has not, or not so."""


def case_of(line: Mapping[str, Value]) -> dict[str, Value] | None:
    """Return the case; None for a line that shows no event with its payload."""
    record, request = line.get("record"), line.get("request")
    if not isinstance(record, dict):
        return None
    expected: Value
    if line["stage"] == "unmatched":
        does, expected = "does not fire", "none"
    elif line["stage"] == "matched" and isinstance(request, dict):
        does, expected = "fires", _expected(request)
    elif line["stage"] == "matched" and "reason" in line:
        does, expected = "cannot be rendered for", {"dead_letter": line["reason"]}
    else:
        return None
    return {
        "name": f"{record['name']} of {line.get('user')} {does} {line['webhook']}",
        **_users(record, line),
        "events": [_event(record)],
        "expect": expected,
    }


def _users(record: Mapping[str, Value], line: Mapping[str, Value]) -> dict[str, Value]:
    known = known_before(record, line)
    if known is None:
        return {}
    who = {"id": record["user_id"]} if "user_id" in record else {"anonymous_id": record.get("anonymous_id")}
    return {"users": [{**who, "properties": known}]}


def _event(record: Mapping[str, Value]) -> dict[str, Value]:
    if record.get("kind") == "update":
        return update_of(record)
    return {name: value for name, value in record.items() if name not in ("type", "received_at")}


def known_before(record: Mapping[str, Value], line: Mapping[str, Value]) -> dict[str, Value] | None:
    """Return what was known of a user before a record, or a change of theirs; None where it is not shown."""
    known = line.get("known")
    if not isinstance(known, dict) or record.get("kind") != "update":
        return known if isinstance(known, dict) else None
    changed = record.get("properties", {})
    return {name: value for name, value in known.items() if name not in changed} | (line.get("before") or {})


def update_of(record: Mapping[str, Value]) -> dict[str, Value]:
    """Return the update that caused a change of properties."""
    changed = record.get("properties", {})
    gone = [name for name, value in changed.items() if value is None]
    return {
        "type": "user",
        **{name: value for name, value in record.items() if name not in _OF_CHANGES},
        "set": {name: value for name, value in changed.items() if value is not None},
        **({"unset": gone} if gone else {}),
    }


def _expected(request: Mapping[str, Value]) -> dict[str, Value]:
    headers = {name: value for name, value in request["headers"].items() if name not in _LEFT_OUT}
    found = {"method": request["method"], "url": request["url"], "headers": headers}
    return found if request["body"] is None else {**found, "body": request["body"]}


def as_yaml(case: Mapping[str, Value]) -> str:
    """Return a case as an entry of `cases`, as a person would write it."""
    return Writer(None, "").element(dict(case), 0) + "\n"
