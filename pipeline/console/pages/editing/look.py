"""Evaluates a draft: findings at their fields, the rendered request, how many samples it would fire on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from typing import Final

from pipeline.config.edit.values import ABSENT, value_at
from pipeline.console.context import Console
from pipeline.console.forms.fields import constants
from pipeline.console.forms.fields.body import path_text
from pipeline.console.forms.fields.rows import EVENT, USER, FormRow, WebhookForm
from pipeline.console.forms.places import Fields
from pipeline.console.forms.proposals import host_of, is_secret_name
from pipeline.console.pages.editing.draft import Draft
from pipeline.console.pages.editing.offers import SET, Offers, offers
from pipeline.console.pages.editing.samples import OWN, ChosenSample, choose
from pipeline.console.redaction import may_advise
from pipeline.language.headers import is_reserved
from pipeline.language.path_syntax import PathError, parse_path
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.words import did_you_mean
from pipeline.operate.unsaved.cases import case_samples
from pipeline.operate.unsaved.results import Previewed, WouldFire
from pipeline.render.values.printing import show

_HINT: Final = 80
"""Characters of the sample's value beside a field."""
_UNTYPED: Final = frozenset({"missing-field", "empty-list"})
"""What is wrong with every webhook that somebody has only begun."""
_MOST_COMPARED: Final = 5
"""Unknown names that are compared with all known ones, at each key: 50 ms each where a job knows 1,000."""


@dataclass(slots=True, frozen=True)
class Looked:
    """All that the page shows beside what was typed."""

    chosen: ChosenSample
    offers: Offers
    previewed: Previewed | None
    is_old: bool = False
    """True: the preview is that of the last text without errors."""
    fired: WouldFire | None = None
    findings: tuple[Finding, ...] = ()
    elsewhere: tuple[Finding, ...] = ()
    """Errors of other files: those that this text makes are among them."""
    fields: dict[Finding, str] = field(default_factory=dict)
    """Which field shows what a finding is about, where one does."""
    problems: dict[str, str] = field(default_factory=dict)
    """By field."""
    warnings: dict[str, str] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)
    """What the sample has at a property."""
    good: str = ""
    diff: str = ""
    host: str = ""


def look(console: Console, draft: Draft, refused: Sequence[Finding] = (), *, payloads: bool) -> Looked:
    """Return what a draft comes to. refused: why it was not saved. Raises ConfigError."""
    bench = console.workbench
    form, text = draft.settled.form, draft.text
    known = console.looks.samples()
    chosen = choose(
        form,
        text,
        known if payloads else [],
        case_samples(console.config, draft.file),
        key=draft.sample,
        record=draft.record,
        user=draft.user,
    )
    if not payloads and not chosen.user:  # what is stored of a user is not for everybody
        chosen = replace(chosen, user="{}")
    offered = offers(
        console.config, console.looks.catalog(), form.fields["events"], bench.secrets(), payloads=payloads
    )
    previewed = bench.preview(draft.file, text, chosen.record, chosen.user or None)
    own = [*previewed.checked.own, *(one for one in refused if one.file == draft.file)]
    own = list(dict.fromkeys(own))
    everywhere = (*previewed.checked.findings, *refused)
    others = [one for one in everywhere if one.file != draft.file and not one.warning]
    is_good = replace(previewed.checked, findings=tuple(own)).can_be_tried
    good = text if is_good else draft.good
    shown: Previewed | None = previewed if is_good else None
    if good and not is_good:
        shown = bench.preview(draft.file, good, chosen.record, chosen.user or None)
    # By its conditions anything could be asked about payloads.
    fired = bench.would_fire(draft.file, good, known) if good and known and payloads else None
    if draft.is_new and draft.do != "save":
        own = [] if draft.is_fresh else [one for one in own if one.code not in _UNTYPED]
    elif draft.is_new and draft.settled.errors:  # what is missing is said by them, in the form's words
        own = [one for one in own if one.code != "missing-field"]
    fields, secrets = _fields(draft, own), _secrets(form, offered)
    return Looked(
        chosen,
        offered,
        shown,
        not is_good,
        fired,
        tuple(own),
        tuple(dict.fromkeys(others)),
        fields,
        _problems(draft, fields),
        _warnings(form, offered) | {name: words for name, (words, is_set) in secrets.items() if not is_set},
        _hints(form, shown) | {name: words for name, (words, is_set) in secrets.items() if is_set},
        good,
        _diff(draft),
        host_of(form.fields["url"] if previewed.request is None else previewed.request.url),
    )


def redacted(looked: Looked, masked: Callable[[Value], Value]) -> Looked:
    """Return it as it may be shown. masked: hides what `console.mask` names, in all of it together."""
    chosen, seen = looked.chosen, looked.previewed
    shown = masked(
        {
            "record": chosen.record,
            "properties": chosen.user,
            "choices": [words for _, words in chosen.choices],
            "hints": looked.hints,
            "event": None if seen is None else seen.event,
            "user": None if seen is None else seen.user,
            "dead_letter": None if seen is None else seen.dead_letter,
            "clauses": [] if seen is None else [one.value for one in seen.clauses],
            "request": None if seen is None or seen.request is None else seen.request.to_json(),
        }
    )
    names = [key for key, _ in chosen.choices]
    own = chosen.key == OWN  # what a person has pasted stays theirs
    chosen = replace(
        chosen,
        record=chosen.record if own else shown["record"],
        user=chosen.user if own else shown["properties"],
        choices=tuple(zip(names, shown["choices"], strict=True)),
    )
    if seen is not None:
        told = zip(seen.clauses, shown["clauses"], strict=True)
        request = None if seen.request is None else replace(seen.request, **_of(shown["request"]))
        seen = replace(
            seen,
            event=shown["event"],
            user=shown["user"],
            dead_letter=shown["dead_letter"],
            clauses=tuple(
                replace(one, value=value, advice=one.advice if may_advise(one.value, value) else None)
                for one, value in told
            ),
            request=request,
        )
    return replace(looked, chosen=chosen, hints=shown["hints"], previewed=seen)


def _of(request: dict[str, Value]) -> dict[str, Value]:
    return {name: request[name] for name in ("method", "url", "headers", "body")}


def _fields(draft: Draft, own: Sequence[Finding]) -> dict[Finding, str]:
    if draft.settled.unread:
        return {}
    fields = Fields(draft.text, draft.settled.form)
    return {one: name for one in own if (name := fields.at(one.line, one.column)) is not None}


def _problems(draft: Draft, fields: dict[Finding, str]) -> dict[str, str]:
    """Return what is wrong with each field."""
    found = {error.field: error.message for error in draft.settled.errors}
    for one, name in fields.items():
        if not one.warning:
            found.setdefault(name, f"{one.message}: {one.hint}" if one.hint else one.message)
    return found


def _warnings(form: WebhookForm, offered: Offers) -> dict[str, str]:
    """Return what is to be said of names that no event had yet, and of headers that are not the form's."""
    found = {}
    try:
        names = constants.meant_list(form.fields["events"], names=True)
    except ValueError:  # a problem of the field, and told there
        names = []
    unknown = [name for name in map(str, names) if name not in offered.names]
    for name in unknown[:_MOST_COMPARED]:
        if (meant := did_you_mean(name, offered.names)) is not None:
            found["events"] = f"no event or label is known as `{name}`: did you mean `{meant}`?"
            break
    for index, row in enumerate(form.headers):
        if is_reserved(row.key.strip()):
            found[f"header-{index}-name"] = f"`{row.key}` is set by the sender"
    return found | mistyped(form, offered)


def _secrets(form: WebhookForm, offered: Offers) -> dict[str, tuple[str, bool]]:
    """Return what is to be said of each header that carries a secret, and whether all is well with it."""
    found = {}
    for index, row in enumerate(form.headers):
        if row.is_locked or not is_secret_name(row.key) or not row.value.strip():
            continue
        if "${" not in row.value and "{{" not in row.value:
            words = "this is readable for everybody who can read the file: name a secret, ${NAME}, instead"
            found[f"header-{index}-value"] = words, False
            continue
        states = {one: state for one, state in offered.secrets if one in row.value}
        words = "; ".join(f"{one} is {state}" for one, state in states.items())
        is_set = set(states.values()) == {SET}
        found[f"header-{index}-value"] = words or "the job is not known to have this secret", is_set
    return found


def mistyped(form: WebhookForm, offered: Offers) -> dict[str, str]:
    """Return what is to be said of properties that nobody had yet, where one of nearly that name was seen."""
    seen = {
        root: {name.partition(".")[0].partition("[")[0] for name, _ in paths}
        for root, paths in ((EVENT, offered.event_paths), (USER, offered.user_paths))
    }
    unknown = []
    for field_name, text in _reads(form):
        with suppress(PathError):
            path = parse_path(text)
            name = str(path.parts[1]) if path.parts[:1] == ("properties",) and len(path.parts) > 1 else None
            if name is not None and name not in seen.get(path.root, (name,)):
                unknown.append((field_name, path.root, name))
    return {
        field_name: f"no {root} is known to have `{name}`: did you mean `{meant}`?"
        for field_name, root, name in unknown[:_MOST_COMPARED]
        if (meant := did_you_mean(name, seen[root])) is not None
    }


def _hints(form: WebhookForm, previewed: Previewed | None) -> dict[str, str]:
    """Return what the sample has where the form reads it."""
    if previewed is None or previewed.event is None:
        return {}
    roots = {"event": previewed.event, "user": previewed.user or {}}
    found = {name: _at(roots, text) for name, text in _reads(form)}
    return {name: words for name, words in found.items() if words}


def _reads(form: WebhookForm) -> Iterator[tuple[str, str]]:
    """Yield each field that names a path, with that."""
    for index, row in enumerate(form.body):
        if row.kind in (EVENT, USER) and row.value.strip():
            yield f"body-{index}-value", _path(row)
    for index, row in enumerate(form.conditions):
        if not row.is_locked and row.key.strip():
            yield f"where-{index}-path", row.key.strip()


def _path(row: FormRow) -> str:
    try:
        return path_text(row.kind, row.value)
    except ValueError:
        return ""


def _at(roots: dict[str, Value], text: str) -> str:
    try:
        path = parse_path(text)
    except PathError:
        return ""
    if path.root not in roots or not all(isinstance(part, (str, int)) for part in path.parts):
        return ""
    value = value_at(roots[path.root], tuple(part for part in path.parts if isinstance(part, (str, int))))
    if value is ABSENT:
        return "the sample has none"
    text = show(value) if isinstance(value, (list, dict)) else constants.shown(value)
    return f"in the sample: {text if len(text) <= _HINT else text[:_HINT] + '…'}"


def _diff(draft: Draft) -> str:
    old, new = (text.splitlines(keepends=True) for text in (draft.disk, draft.text))
    return "".join(unified_diff(old, new, f"a/{draft.file}", f"b/{draft.file}"))
