"""Config tests: `*.test.yaml` beside the webhooks, run through the same code as the job."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import orjson

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.compile.webhook import Webhook
from pipeline.config.files import SHAPES, TESTS, JobDefaults, config_files, is_yaml, read_files
from pipeline.config.models.webhooks.case import Case, CaseFile, ExpectedRequest, GivenUser
from pipeline.decode.decode import decode
from pipeline.job.tap.why import WAITS, why_unmatched
from pipeline.job.trials.preview import Preview
from pipeline.job.trials.rehearse import Rehearsal
from pipeline.model.errors import ConfigError
from pipeline.model.files.disk import below
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Invalid, Origin, Record, User
from pipeline.model.times import parse_time
from pipeline.operate.trials.given import known, stray
from pipeline.operate.trials.results import CaseResult as CaseResult  # given on
from pipeline.operate.trials.results import Run, differ, differ_dead, run_cases
from pipeline.operate.trials.shape_cases import run_shape_file
from pipeline.render.values.printing import show

NOW = parse_time("2026-01-01T12:00:00Z")
"""The time of events without one; each is a second after the one before."""
WHY = 3
"""Events for which the reason is given when a request is missing."""


def find_tests(directory: Path) -> list[Path]:
    """Return all test files below a config directory, sorted; those that cannot be read, too: they fail."""
    # Editors have links to nowhere as locks: `.#a.test.yaml`.
    named = (path for path in below(directory) if path.name.endswith(TESTS) and path.name[0] != ".")
    return sorted(path for path in named if not path.is_dir())


def run_tests(
    directory: Path, paths: Sequence[Path] | None = None, *, environ: Mapping[str, str] | None = None
) -> list[CaseResult]:
    """Run the tests below a config directory, or only these files of it, in the order of their names.

    A broken file yields one failed result with its problems; nothing raises.
    """
    found = find_tests(directory) if paths is None else paths
    return [result for path in found for result in run_file(path, directory, environ=environ)]


def run_file(
    path: Path, directory: Path, *, environ: Mapping[str, str] | None = None
) -> Iterator[CaseResult]:
    """Return the result of every case of a test file of the webhook or shape that has its name."""
    if path.parent.name == SHAPES:
        return run_shape_file(path, directory)

    def read(file: CaseFile) -> Run[Case]:
        snapshot = _compile(path, directory, file, os.environ if environ is None else environ)
        return file.cases, lambda case: run_case(snapshot, case, format=file.format)

    return run_cases(path, directory, CaseFile, "webhook", read)


def run_case(snapshot: Snapshot, case: Case, *, format: str) -> list[str]:
    """Return what differs from what was expected, each a text of one or more lines."""
    fired, silent, failures = _run(snapshot, case, format)
    return failures or _differences(case, fired, silent)


def _run(snapshot: Snapshot, case: Case, format: str) -> tuple[list[Preview], list[str], list[str]]:
    """Return the requests that a case makes, why the other events make none, and which are invalid."""
    run = Rehearsal(snapshot)
    failures: list[str] = []
    for user in case.users:
        run.know(known(user.id, user.anonymous_id, user.properties, NOW))
    only = case.users[0] if len(case.users) == 1 else None
    fired: list[Preview] = []
    silent: list[str] = []
    for number, given in enumerate(case.events):
        if format == "native" and (wrong := stray(given)) is not None:
            failures.append(f"event {number + 1} is invalid: {wrong}")
            continue
        for record in case_records(given, number, only, format):
            if isinstance(record, Invalid):
                nobody = not case.users and "nor `anonymous_id`" in record.reason
                remedy = ": name a user under `users`, or in the event" if nobody else ""
                failures.append(f"event {number + 1} is invalid: {record.reason}{remedy}")
            else:
                for event, seen, matches, _ in run.moments(record):
                    fired += [Preview.of(one) for one in matches if not one.suppressed]
                    if matches and all(one.suppressed for one in matches):
                        silent.append(f"event {number + 1}: `limit` or `dedupe` keeps it back")
                    elif not matches:
                        silent += [
                            f"event {number + 1}: {_why(one, event, seen)}" for one in snapshot.webhooks
                        ]
    return fired, silent, failures


def _differences(case: Case, fired: list[Preview], silent: list[str]) -> list[str]:
    failures: list[str] = []
    for number, (wanted, got) in enumerate(zip(case.expect, fired, strict=False), 1):
        lines = _compare(wanted, got, case.exact)
        if lines:
            failures.append("\n".join([f"request {number}:", *(f"  {line}" for line in lines)]))
    for number, extra in enumerate(fired[len(case.expect) :], len(case.expect) + 1):
        failures.append(f"request {number} was not expected:\n  {_told(extra)}")
    for number in range(len(fired) + 1, len(case.expect) + 1):
        failures.append("\n  ".join([f"request {number} was expected and not made", *silent[:WHY]]))
        silent = []
    return failures


def _why(webhook: Webhook, event: Event, user: User) -> str:
    """Return the clause that keeps a webhook from firing, and the value it saw."""
    if not webhook.enabled:
        return "the webhook is disabled"
    clause = why_unmatched(webhook, event, user)[0]
    if clause["clause"] == WAITS:
        return WAITS
    saw = f", {clause['path']} is {show(clause['value']) if 'value' in clause else 'missing'}"
    return f"`{clause['clause']}` does not hold{saw if clause['path'] else ''}"


def _compile(path: Path, directory: Path, cases: CaseFile, environ: Mapping[str, str]) -> Snapshot:
    """Return the webhook beside a test, alone with what it needs. Raises ConfigError."""
    stem = path.name.rsplit(".test.", 1)[0]
    target = next(
        (f"{stem}{end}" for end in (".yaml", ".yml") if (path.parent / f"{stem}{end}").is_file()), None
    )
    if target is None:
        raise ConfigError(f"there is no webhook `{stem}.yaml` beside the test")
    bases = sorted(entry for entry in os.listdir(path.parent) if entry.startswith("_") and is_yaml(entry))
    labels = [name for name in config_files(directory) if name.startswith("labels/")]
    text = read_files(
        directory,
        [*labels, *(f"webhooks/{name}" for name in (*bases, target))],
        webhooks=path.parent,
        environ={**environ, **cases.settings},
        # A test never sends: where the webhook may connect to does not matter here.
        defaults=JobDefaults(exclude=tuple(cases.exclude), network_allow=("0.0.0.0/0", "::/0")),
    )
    report = compile_config(text, secrets=None)
    if report.snapshot is None:
        folder = os.path.relpath(path.parent, directory)
        raise ConfigError([_moved(finding, folder) for finding in report.findings if not finding.warning])
    return report.snapshot


def _moved(finding: Finding, folder: str) -> Finding:
    name = finding.file.removeprefix("webhooks/")
    if name == finding.file:
        return finding
    return replace(finding, file=os.path.join(folder, name))


def case_records(given: dict[str, Value], number: int, only: GivenUser | None, format: str) -> list[Record]:
    """Return the records of one event of a case. only: the case's user, if there is just one."""
    record = dict(given)
    if format == "native":
        record = {"type": "event", **record}
        if only is not None and "user_id" not in record and "anonymous_id" not in record:
            record |= {"user_id": only.id} if only.id is not None else {"anonymous_id": only.anonymous_id}
    origin = Origin("test", number)
    return decode(orjson.dumps(record), format=format, origin=origin, received_at=NOW + number * 1000)


def _compare(wanted: ExpectedRequest, got: Preview, exact: bool) -> list[str]:
    """Return the lines of the differences between a request and what was expected."""
    if wanted.dead_letter is not None:
        return differ_dead(wanted.dead_letter, got.dead_letter, f"but it is sent: {_told(got)}")
    if got.dead_letter is not None:
        return ["it becomes a dead letter", f"+ {got.dead_letter}"]
    lines: list[str] = []
    if wanted.method is not None:
        lines += differ("method", wanted.method, got.method, exact=True)
    if wanted.url is not None:
        lines += differ("url", wanted.url, got.url, exact=True)
    headers = {name.lower(): value for name, value in got.headers.items()}
    for name, value in wanted.headers.items():
        lines += differ(f"headers.{name}", value, headers.get(name.lower(), MISSING), exact=True)
    if "body" in wanted.model_fields_set:
        body = got.body if got.encoding == "json" else str(got.body or "")
        if isinstance(wanted.body, dict) and got.encoding == "form":
            body = dict(parse_qsl(str(body), keep_blank_values=True))
        lines += differ("body", wanted.body, body, exact)
    return lines


def _told(fired: Preview) -> str:
    if fired.dead_letter is not None:
        return f"a dead letter of {fired.webhook}: {fired.dead_letter}"
    return fired.line()[:2000]
