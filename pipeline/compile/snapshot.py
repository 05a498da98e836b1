"""Config texts become an immutable snapshot: plain functions and tables, nothing decided per event.

All mistakes are collected; a snapshot exists only where there are none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pipeline.compile.shapes import compile_formats
from pipeline.compile.webhook import Webhook, compile_webhook
from pipeline.config.documents import SETTING
from pipeline.config.files import ConfigText, is_webhook
from pipeline.config.webhooks import (
    CheckedConfig,
    CheckedLabel,
    CheckedShape,
    CheckedWebhook,
    Kept,
    check_files,
)
from pipeline.config.yaml.diagnostics import Problems
from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.language.secrets import Secrets
from pipeline.language.vars import no_var
from pipeline.match.index import TriggerIndex
from pipeline.match.labels import Labels, compile_labels
from pipeline.model.errors import ConfigError, UsageError
from pipeline.model.findings import Finding, check_json, errors_in, in_order, render
from pipeline.model.json import Value
from pipeline.model.words import meant_or, no_webhook


@dataclass(slots=True, frozen=True, eq=False)
class Snapshot:
    """One version of the config. ``webhooks`` is in the order of the file names."""

    hash: str
    text: ConfigText
    webhooks: tuple[Webhook, ...]
    by_id: Mapping[str, Webhook]
    triggers: TriggerIndex
    """Over the enabled webhooks; index i is ``webhooks[i]``."""
    checked: CheckedConfig = field(repr=False)
    labels: Labels = field(repr=False)
    """The labels it was compiled from, for the next version."""
    formats: Formats = ALL_AUTO
    """Which shape reads what."""

    @property
    def says_formats(self) -> bool:
        """False for a version of an older Hookline: its lines are read by the job's present formats."""
        return self.text.language >= 3

    def alone(self, webhook: Webhook) -> Snapshot:
        """Return a version with only this webhook, under the same labels and shapes."""
        triggers = TriggerIndex([webhook.trigger])
        return replace(self, webhooks=(webhook,), by_id={webhook.id: webhook}, triggers=triggers)

    def named(self, webhook_id: str) -> Webhook:
        """Return a webhook by its id. Raises UsageError."""
        if webhook_id not in self.by_id:
            raise UsageError(no_webhook(webhook_id, self.by_id))
        return self.by_id[webhook_id]


@dataclass(slots=True)
class Report:
    """The result of compiling; ``snapshot`` is None where there is an error."""

    snapshot: Snapshot | None
    findings: list[Finding]
    root: str = ""
    webhooks: int = 0
    labels: int = 0
    basis: Snapshot | None = field(default=None, repr=False)
    """What the next version may reuse, even where there are errors; it must not run."""

    @property
    def errors(self) -> int:
        """How many of the findings are errors."""
        return errors_in(self.findings)

    def render(self) -> str:
        """Return every finding with its place and the closing line; "" where there is none."""
        return render(self.findings, root=self.root)

    def to_json(self) -> dict[str, Value]:
        """Return what `hookline check --json` prints."""
        return check_json(self.findings, self.webhooks, self.labels)

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

    secrets: where they are looked up, so that a missing one is an error; None: they are not looked up (for an
    old version that only renders again, or verbs that send nothing). offline: settings without a value are no
    errors either; where one is missing there is no snapshot, even without an error. stored: the text comes
    from a state directory or another process of the job: it was accepted once and keeps its meaning, so newer
    refusals do not apply and nothing is linted. before: a version whose unchanged webhooks are reused. It was
    compiled with the same secrets, or the caller does not care whether they have changed.
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
        known.get(file.file) or compile_webhook(file, text, labels, exclude, secrets)
        for file in checked.webhooks
    ]
    for file in checked.partial:
        compile_webhook(file, text, labels, exclude, secrets)  # only for its problems
    formats = compile_formats(text, checked)
    return _report(text, checked, labels, webhooks, formats, offline)


def as_enabled(webhook: Webhook, snapshot: Snapshot) -> Webhook:
    """Return a version's webhook as if it were enabled: with its trigger."""
    if webhook.enabled:
        return webhook
    (found,) = (file for file in snapshot.checked.webhooks if file.file == webhook.file)
    file = replace(
        found, model=found.model.model_copy(update={"enabled": True}), problems=Problems(stored=True)
    )
    exclude = tuple(name for name in snapshot.text.defaults.exclude if name in snapshot.labels.names())
    return compile_webhook(file, snapshot.text, snapshot.labels, exclude, None)


def _known_labels(names: Iterable[str], labels: Labels, checked: CheckedConfig) -> Iterator[str]:
    """Yield the excluded labels that exist; missing ones are one error, not one per webhook."""
    for name in names:
        if name in labels.names():
            yield name
        elif name not in checked.broken_labels:
            hint = meant_or(name, labels.names(), "labels are files in labels/")
            message = f"`exclude` names the label `{name}`, which does not exist"
            checked.findings.append(Finding("pipeline.yaml", 0, 0, "unknown-label", message, hint))


def _vars_without_value(text: ConfigText) -> frozenset[str]:
    """Return the message where a var without a value is named: an error of its setting, not of the var."""
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
    """Return whether a finding is only a consequence of a label file's own errors."""
    return finding.code == "unknown-label" and any(f"`{name}`" in finding.message for name in broken_labels)


def unchanged(text: ConfigText, before: ConfigText) -> frozenset[str]:
    """Return the names of the webhook files that mean the same in `text` as in `before`.

    Any of them may refer to labels, bases, lists, settings and the job's defaults: where one of these
    differs, none is unchanged. Webhooks do not refer to one another.
    """
    if _surroundings(text) != _surroundings(before):
        return frozenset()
    return frozenset(
        name for name, content in text.files.items() if is_webhook(name) and before.files.get(name) == content
    )


def _surroundings(text: ConfigText) -> tuple[object, ...]:
    others: Mapping[str, str] = {name: one for name, one in text.files.items() if not is_webhook(name)}
    return text.language, text.defaults, dict(text.settings), others
