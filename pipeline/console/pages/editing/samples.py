"""Events that a webhook is tried on: what the job read a moment ago, its test cases, one that is made up, and
what a person pastes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from pipeline.admin.socket_client import NotRunning
from pipeline.config.yaml.loader import parse_yaml
from pipeline.console.forms.constants import meant_list
from pipeline.console.forms.proposals import made_up
from pipeline.console.forms.rows import WebhookForm
from pipeline.model.errors import HooklineError
from pipeline.model.json import Value
from pipeline.model.plain_file import read_plain
from pipeline.operate import looks

SHOWN: Final = 40
"""Samples of the job in the list."""
MADE: Final = "made"
OWN: Final = "own"
_CASE: Final = "case:"


@dataclass(slots=True, frozen=True)
class Chosen:
    """The event that the preview shows."""

    key: str
    record: str
    """JSON, as a person may edit it."""
    user: str = ""
    """Properties of the user as JSON; "": those that the job knows."""
    choices: tuple[tuple[str, str], ...] = ()
    """All that can be chosen: key and words."""


def seen(state: Path) -> list[looks.Sample]:
    """Return what the job read a moment ago; nothing where none runs."""
    try:
        return looks.samples(state)
    except (NotRunning, HooklineError):
        return []


def cases_of(config: Path, file: str) -> list[tuple[str, Value, Value]]:
    """Return the cases of the test beside a webhook: name, its last event, properties of its only user."""
    path = config / f"{file.rsplit('.', 1)[0]}.test.yaml"
    try:
        document = parse_yaml(read_plain(path).decode(), path.name)
    except (OSError, ValueError):
        return []
    data = None if document.root is None else document.root.value
    found = []
    for case in data.get("cases", []) if isinstance(data, dict) else []:
        events = case.get("events") if isinstance(case, dict) else None
        if not isinstance(events, list) or not events or not isinstance(events[-1], dict):
            continue
        users = case.get("users") or [{}]
        user = users[0] if isinstance(users, list) and isinstance(users[0], dict) else {}
        who = {key: user[key] for key in ("id", "anonymous_id") if key in user}
        event = {"user_id": who["id"], **events[-1]} if "id" in who else events[-1]
        found.append((str(case.get("name", "a case")), event, user.get("properties", {})))
    return found


def choose(
    form: WebhookForm,
    text: str,
    known: Sequence[looks.Sample],
    cases: Sequence[tuple[str, Value, Value]],
    *,
    key: str,
    record: str,
    user: str,
) -> Chosen:
    """Return the event to try, and all there are. key, record, user: as the page sent them; "": at first.

    At first it is the newest one that the trigger names, else a case, else one that is made up.
    """
    wanted = (
        set(meant_list(form.fields["events"], names=True)) if form.fields["trigger"] == "events" else set()
    )
    fitting = [one for one in known if _fits(one, wanted, form.fields["trigger"])]
    others = [one for one in known if one not in fitting]
    listed = [*fitting[:SHOWN], *others[: max(0, SHOWN - len(fitting))]]
    choices = [(one.id, _words(one)) for one in listed]
    choices += [(f"{_CASE}{index}", f"Test: {name}") for index, (name, _, _) in enumerate(cases)]
    choices += [(MADE, "Made up from the form"), (OWN, "JSON of my own")]
    if key == OWN:
        return Chosen(OWN, record, user, tuple(choices))
    keys = {one for one, _ in choices}
    if key not in keys:
        key = fitting[0].id if fitting else f"{_CASE}0" if cases else MADE
    if key == MADE:
        event, properties = made_up(form, text)
        return Chosen(MADE, _pretty(event), _pretty(properties), tuple(choices))
    if key.startswith(_CASE):
        _, event, properties = cases[int(key.removeprefix(_CASE))]
        return Chosen(key, _pretty(event), _pretty(properties), tuple(choices))
    sample = next(one for one in listed if one.id == key)
    return Chosen(key, _pretty(_record(sample, wanted)), "", tuple(choices))


def _fits(sample: looks.Sample, wanted: set[Value], trigger: str) -> bool:
    if trigger == "changes":
        return any("set" in one or "unset" in one for one in sample.records)
    return bool(sample.events) and ("*" in wanted or not wanted.isdisjoint(sample.events))


def _record(sample: looks.Sample, wanted: set[Value]) -> Value:
    good = [one for one in sample.records if "invalid" not in one]
    named = [one for one in good if one.get("name") in wanted]
    return next(iter([*named, *good]), {})


def _words(sample: looks.Sample) -> str:
    what = ", ".join(sample.events) or "Update of a user"
    return f"{what} · {sample.user or 'nobody'} · {sample.at[11:19]}"


def _pretty(value: Value) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
