"""The tests beside a webhook's file: found, deleted with it, extended by one case."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import indent
from typing import Final

import orjson

from pipeline.config.edit.operations import append
from pipeline.config.files import TESTS
from pipeline.config.models.webhooks.case import CaseFile
from pipeline.model.errors import UsageError
from pipeline.model.files.disk import create_durably, remove_durably, replace_durably
from pipeline.model.files.plain_file import read_plain
from pipeline.model.json import Value
from pipeline.model.times import format_iso
from pipeline.operate.cases.seen import as_yaml
from pipeline.operate.files.edits import require_editable
from pipeline.operate.files.folder import locked, told
from pipeline.operate.trials.results import read_file
from pipeline.operate.unsaved.results import Previewed

HEAD: Final = "# yaml-language-server: $schema=../schema/test.json\ncases:\n"
_MADE_ANEW: Final = frozenset({"webhook-id", "content-type"})
"""Headers that depend on where the event was read, or say nothing about the webhook."""


def tests_beside(config: Path, file: str) -> list[str]:
    """Return the names of the test files beside a webhook's file."""
    names = [f"{file.rpartition('.')[0]}{end}" for end in TESTS]
    return [name for name in names if (config / name).is_file()]


def tests_of(config: Path, file: str) -> list[str]:
    """Return the test files that belong to a webhook's file; symbolic links never do."""
    require_editable(file)
    return [name for name in tests_beside(config, file) if not (config / name).is_symlink()]


def remove_tests(config: Path, file: str) -> list[str]:
    """Delete the tests beside a webhook's file; return their names. Raises ConfigError."""
    with locked((config / file).parent, file):
        names = tests_of(config, file)
        for name in names:
            with told(name):
                remove_durably(config / name)
    return names


def case_of(webhook: str, shown: Previewed, *, with_url: bool) -> dict[str, Value]:
    """Return what a webhook makes of a record now, as a test case: its user, its event, and the request or
    none.

    with_url: False where the URL depends on settings, which differ in a test. Raises UsageError where nothing
    is known of it.
    """
    if not isinstance(shown.record, dict):
        raise UsageError(shown.problem or "there is nothing to be kept: the file has errors")
    record = {name: value for name, value in shown.record.items() if name != "received_at"}
    if record.get("type") == "event":
        del record["type"]
    does, expected = _expected(shown, with_url=with_url)
    who = {name: record[name] for name in ("user_id", "anonymous_id") if record.get(name)}
    given: dict[str, Value] = {"id": who["user_id"]} if "user_id" in who else who
    users = [{**given, "properties": shown.properties}] if given and shown.properties else []
    name = f"{record.get('name') or 'a change'} of {next(iter(who.values()), 'nobody')} {does} {webhook}"
    return {"name": name, **({"users": users} if users else {}), "events": [record], "expect": expected}


def _expected(shown: Previewed, *, with_url: bool) -> tuple[str, Value]:
    if shown.dead_letter and shown.clauses and all(one.holds for one in shown.clauses if not one.depth):
        return "cannot be rendered for", {"dead_letter": shown.dead_letter}
    request = shown.request
    if not shown.fires or request is None:
        return "does not fire", "none"
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _MADE_ANEW}
    found: dict[str, Value] = {"method": request.method, **({"url": request.url} if with_url else {})}
    if headers:
        found["headers"] = headers
    if request.body:
        received = _received(shown.event)
        data = orjson.loads(request.body) if request.encoding == "json" else request.body
        found["body"] = _without(data, received) if received else data
    return "fires", found


def _received(event: Value) -> set[Value]:
    """Return when an event was read, as a body may print it: a test reads it at another time."""
    ms = event.get("received_at") if isinstance(event, dict) else None
    return {ms, format_iso(ms)} if isinstance(ms, int) else {ms} if isinstance(ms, str) else set()


def _without(value: Value, gone: set[Value]) -> Value:
    """Return a body without the keys that have one of these values: omitted keys are not compared."""
    if isinstance(value, dict):
        kept = [one for one in value.items() if isinstance(one[1], (dict, list)) or one[1] not in gone]
        return {name: _without(inner, gone) for name, inner in kept}
    return [_without(inner, gone) for inner in value] if isinstance(value, list) else value


def add_case(config: Path, file: str, case: Mapping[str, Value]) -> str:
    """Add a case to the test beside a webhook's file, creating it if needed; every other byte stays. Return
    its name. Raises ConfigError where it cannot be read or written.
    """
    with locked((config / file).parent, file):
        names = tests_of(config, file)
        name = names[0] if names else f"{file.rpartition('.')[0]}{TESTS[0]}"
        path = config / name
        with told(name):
            if not names:
                create_durably(path, (HEAD + indent(as_yaml(case), "  ")).encode())
                return name
            known = {one.name for one in read_file(path, name, CaseFile)[0].cases}
            text = read_plain(path).decode()
            given = {**case, "name": _free(str(case["name"]), known)}
            replace_durably(path, append(text, ("cases",), given, file=name).encode(), like=path.lstat())
    return name


def _free(name: str, taken: set[str]) -> str:
    found, number = name, 2
    while found in taken:
        found, number = f"{name} ({number})", number + 1
    return found
