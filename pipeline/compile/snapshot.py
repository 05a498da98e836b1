"""Config texts become an immutable snapshot: plain functions and tables, nothing decided per event.

The one place where the models meet the compilers of match, render and deliver. Everything that is wrong
is collected; a snapshot exists only where nothing is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from pipeline.compile.answers import check_answer_paths, reads_of
from pipeline.compile.kept import unchanged
from pipeline.compile.lint import lint_webhook
from pipeline.compile.shapes import compile_formats
from pipeline.config.documents import SETTING
from pipeline.config.files import ConfigText
from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.config.webhooks import (
    CheckedConfig,
    CheckedLabel,
    CheckedShape,
    CheckedWebhook,
    Kept,
    check_files,
)
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.config.yaml.document import locate
from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.deliver.requests.spec import LaneSpec, Reads
from pipeline.join.caps import Caps
from pipeline.join.limits import Verdict, check
from pipeline.language.path_syntax import EVENT_ROOTS, no_var
from pipeline.language.paths import Getter, Scope
from pipeline.language.secrets import Secrets, holds_secret
from pipeline.language.work import TooExpensive, begin
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Predicate
from pipeline.match.index import TriggerIndex
from pipeline.match.labels import Labels, compile_labels
from pipeline.match.triggers import Trigger, compile_idempotency, compile_trigger
from pipeline.model.errors import ConfigError, UsageError
from pipeline.model.findings import Finding, in_order, render
from pipeline.model.json import Value
from pipeline.model.process.under_way import begins
from pipeline.model.records import Event, User
from pipeline.model.words import did_you_mean, no_webhook
from pipeline.render.request import RequestTemplate, compile_request
from pipeline.render.wrap import compile_wrap


@dataclass(slots=True, frozen=True, eq=False)
class Webhook:
    """One webhook, ready to match, render and deliver."""

    id: str
    enabled: bool
    trigger: Trigger
    request: RequestTemplate
    delivery: DeliverySettings
    spec: LaneSpec
    file: str
    """Its file, relative to the config directory."""
    data: Mapping[str, Value] = field(repr=False)
    """What the file says, bases and defaults merged, for `explain`."""
    idempotency: Getter | None = None
    """What the ``webhook-id`` is made of; None: of the event's id."""
    asks_user: bool = field(init=False)
    """False where every candidate fires: nothing is left to `judge` once the event's side holds."""

    def __post_init__(self) -> None:
        """Note what the trigger still asks for."""
        asks = self.trigger.user_side is not None or self.trigger.limits is not None
        object.__setattr__(self, "asks_user", asks)

    def judge(self, caps: Caps, user_key: str, event: Event, user: User) -> Verdict:
        """Return what becomes of a candidate: the user's side of its conditions, then its limits.

        Raises TooExpensive where the conditions take more work than they may; nothing is counted then.
        """
        trigger = self.trigger
        if trigger.user_side is not None and not self._user_side(trigger.user_side, event, user):
            return Verdict.NOT_YET
        return Verdict.FIRE if trigger.limits is None else check(trigger.limits, caps, user_key, event, user)

    @staticmethod
    def _user_side(holds: Predicate, event: Event, user: User) -> bool:
        try:
            return holds(event, user, None)
        except TooExpensive:
            begin(event, user)  # others have spent of it
            return holds(event, user, None)


@dataclass(slots=True, frozen=True, eq=False)
class Snapshot:
    """One version of the config. ``webhooks`` is in the order of the files' names."""

    hash: str
    text: ConfigText
    webhooks: tuple[Webhook, ...]
    by_id: Mapping[str, Webhook]
    triggers: TriggerIndex
    """Over the enabled webhooks; index i is ``webhooks[i]``."""
    checked: CheckedConfig = field(repr=False)
    labels: Labels = field(repr=False)
    """What it was compiled from, for the next version."""
    formats: Formats = ALL_AUTO
    """Which shape reads what."""

    @property
    def says_formats(self) -> bool:
        """False for a version of an older Hookline: its lines are read as the job says now."""
        return self.text.language >= 3

    def alone(self, webhook: Webhook) -> Snapshot:
        """Return a version of this one webhook, under the same labels and shapes."""
        return replace(
            self,
            webhooks=(webhook,),
            by_id={webhook.id: webhook},
            triggers=TriggerIndex([webhook.trigger]),
        )

    def named(self, webhook_id: str) -> Webhook:
        """Return a webhook by its id. Raises UsageError."""
        if webhook_id not in self.by_id:
            raise UsageError(no_webhook(webhook_id, self.by_id))
        return self.by_id[webhook_id]


@dataclass(slots=True)
class Report:
    """What compiling found; ``snapshot`` is None where there is an error."""

    snapshot: Snapshot | None
    findings: list[Finding]
    root: str = ""
    webhooks: int = 0
    labels: int = 0
    basis: Snapshot | None = field(default=None, repr=False)
    """For the next version to take over from, also where there are errors; it must not run."""

    @property
    def errors(self) -> int:
        """How many of the findings are errors."""
        return sum(not finding.warning for finding in self.findings)

    def render(self) -> str:
        """Return every finding with its place and the closing line; "" where there is none."""
        return render(self.findings, root=self.root)

    def to_json(self) -> dict[str, Value]:
        """Return whether all is well, the counts, and the findings in the order of the files."""
        return {
            "ok": not self.errors,
            "errors": self.errors,
            "warnings": len(self.findings) - self.errors,
            "webhooks": self.webhooks,
            "labels": self.labels,
            "findings": [finding.to_json() for finding in in_order(self.findings)],
        }

    def require(self) -> Snapshot:
        """Return the snapshot; raises ConfigError with every finding."""
        if self.snapshot is None:
            raise ConfigError(self.findings, root=self.root)
        return self.snapshot


def compile_config(
    text: ConfigText,
    *,
    secrets: Secrets | None,
    offline: bool = False,
    stored: bool = False,
    before: Snapshot | None = None,
) -> Report:
    """Compile a config; equal texts give equal snapshots on every host.

    secrets: where they are looked up, so that a missing one is an error; None: they are not looked up
    (a version of long ago that only has to render again, or what sends nothing).
    offline: settings without a value are no faults either; where one is missing there is no snapshot,
    although there may be no error.
    stored: the text comes out of a state directory, or from another process of the job: it was accepted once
    and keeps the meaning it had, so what is refused only since then is no error, and nothing is linted.
    before: a version whose webhooks are taken over as they are where they mean the same. It was compiled with
    the same secrets, or nobody asks here whether they have changed.
    """
    same = frozenset[str]()
    if before is not None and before.checked.stored == stored:
        same = unchanged(text, before.text)
    if before is None or not same:
        checked = check_files(text, stored=stored)
        entries = {name: found for file in checked.labels for name, found in file.lists.items()}
        labels = compile_labels([(file.model, file.problems) for file in checked.labels], lists=entries)
        known: dict[str, Webhook] = {}
    else:
        files = {file.file: file for file in before.checked.webhooks if file.file in same}
        kept = Kept(files, {file.file: file for file in before.checked.labels})
        checked, labels = check_files(text, stored=stored, kept=kept), before.labels
        known = {webhook.file: webhook for webhook in before.webhooks if webhook.file in same}
    exclude = tuple(_known_labels(text.defaults.exclude, labels, checked))
    webhooks = [
        known.get(file.file) or _compile(file, text, labels, exclude, secrets) for file in checked.webhooks
    ]
    for file in checked.partial:
        _compile(file, text, labels, exclude, secrets)  # for its problems alone
    formats = compile_formats(text, checked)
    return _report(text, checked, labels, webhooks, formats, offline)


def as_enabled(webhook: Webhook, snapshot: Snapshot) -> Webhook:
    """Return a webhook of a version as it would be if it were enabled: its trigger holds again."""
    if webhook.enabled:
        return webhook
    (found,) = (file for file in snapshot.checked.webhooks if file.file == webhook.file)
    file = replace(
        found, model=found.model.model_copy(update={"enabled": True}), problems=Problems(stored=True)
    )
    exclude = tuple(name for name in snapshot.text.defaults.exclude if name in snapshot.labels.names())
    return _compile(file, snapshot.text, snapshot.labels, exclude, None)


def _known_labels(names: Iterable[str], labels: Labels, checked: CheckedConfig) -> Iterator[str]:
    """Yield the excluded labels that exist; the others are one fault, not one of every webhook."""
    for name in names:
        if name in labels.names():
            yield name
        elif name not in checked.broken_labels:
            close = did_you_mean(name, labels.names())
            hint = f"did you mean `{close}`?" if close else "labels are files in labels/"
            message = f"`exclude` names the label `{name}`, which does not exist"
            checked.findings.append(Finding("pipeline.yaml", 0, 0, "unknown-label", message, hint))


def _compile(
    file: CheckedWebhook, text: ConfigText, labels: Labels, exclude: tuple[str, ...], secrets: Secrets | None
) -> Webhook:
    begins(file.file)
    model, problems = file.model, file.problems
    trigger = compile_trigger(model, problems=problems, labels=labels, exclude=exclude, lists=file.lists)
    if not model.enabled:
        trigger = replace(trigger, events=(), changes=None)
    delivery = model.delivery
    batch = delivery.batch
    lines, condition = partial(_line_of, file), partial(_condition, labels=labels, file=file)
    request = compile_request(
        model.request,
        vars=model.vars,
        # Inside a `$for` an `$if` may read the item.
        condition=partial(condition, roots=(*EVENT_ROOTS, "item", "index")),
        settings=text.settings,
        secrets=secrets,
        problems=problems.at("request"),
        file=file.file,
        line_of=lines,
        batch_as=batch.as_ if batch is not None else None,
    )
    wrap, fail_when, reads = None, None, Reads()
    if batch is not None:
        wrap = compile_wrap(
            batch,
            vars=model.vars,
            problems=problems.at("delivery", "batch"),
            file=file.file,
            secrets=secrets,
            line_of=lines,
        )
    if delivery.fail_when is not None:
        place = problems.at("delivery", "fail_when")
        fail_when = _judged(condition(delivery.fail_when, place, roots=("response", "vars")))
        reads = reads_of(delivery.fail_when)
        if not problems.stored:
            check_answer_paths(delivery.fail_when, place)
    if not problems.stored:
        lint_webhook(model, text, problems, secrets)
    spec = LaneSpec(
        webhook_id=model.id,
        definition=file.definition,
        enabled=model.enabled,
        delivery=delivery,
        receiver=model.request.receiver(),
        encoding=model.request.encoding,
        has_secrets=bool(request.secrets)
        or (batch is not None and ("${" in str(batch.wrap) or holds_secret(dict(model.vars)))),
        wrap=wrap,
        fail_when=fail_when,
        reads=reads,
    )
    return Webhook(
        id=model.id,
        enabled=model.enabled,
        trigger=trigger,
        request=request,
        delivery=delivery,
        spec=spec,
        file=file.file,
        data=file.data,
        idempotency=compile_idempotency(model, problems=problems),
    )


def _judged(fails: Predicate) -> Predicate:
    """Return `fail_when` within a budget of its own; raises TooExpensive."""

    def judged(event: Event, user: User, scope: Scope) -> bool:
        begin(event, user)
        return fails(event, user, scope)

    return judged


def _condition(
    tree: Value, problems: Problems, *, labels: Labels, file: CheckedWebhook, roots: tuple[str, ...]
) -> Predicate:
    return compile_condition(
        tree, problems, labels=labels, lists=file.lists, vars=file.model.vars, roots=roots
    ).whole


def _line_of(file: CheckedWebhook, path: KeyPath) -> int | None:
    """Return the line of a key path for the reasons of dead letters; None for what stands in a base."""
    found = locate(file.root, path)
    if found.node.document is not file.root.document:
        return None
    return (found.key or found.node.span).line + 1


def _vars_without_value(text: ConfigText) -> frozenset[str]:
    """Return what is said where a var is named whose setting has no value: it has no fault of its own."""
    paths = (path for name in text.documents for path in text.documents[name].unset)
    return frozenset(
        no_var(str(path[1])) for path in paths if path[0] == "vars" and path[2:] in ((), (SETTING,))
    )


def _report(
    text: ConfigText,
    checked: CheckedConfig,
    labels: Labels,
    webhooks: list[Webhook],
    formats: Formats,
    offline: bool,
) -> Report:
    findings = list(checked.findings)
    files: list[CheckedLabel | CheckedShape | CheckedWebhook] = [
        *checked.labels, *checked.shapes, *checked.webhooks, *checked.partial
    ]  # fmt: skip
    for file in files:
        findings.extend(found for found in file.findings() if not _follows(found, checked.broken_labels))
    findings = in_order(findings)
    unset = {(found.file, found.line) for found in findings if found.code == "missing-setting"}
    no_vars = _vars_without_value(text) if unset else frozenset()
    findings = [
        found
        for found in findings
        if ((found.file, found.line) not in unset and found.message not in no_vars)
        or (found.code == "missing-setting" and not offline)
    ]
    report = Report(None, findings, text.root, len(webhooks), len(checked.labels))
    good = report.errors == 0 and not unset
    report.basis = Snapshot(
        hash=text.hash,
        text=text,
        webhooks=tuple(webhooks),
        by_id={webhook.id: webhook for webhook in webhooks},
        triggers=TriggerIndex([webhook.trigger for webhook in webhooks] if good else []),
        checked=checked,
        labels=labels,
        formats=formats,
    )
    if good:
        report.snapshot = report.basis
    return report


def _follows(finding: Finding, broken_labels: Collection[str]) -> bool:
    """Return whether a finding only follows from a label file that has its own errors."""
    return finding.code == "unknown-label" and any(f"`{name}`" in finding.message for name in broken_labels)
