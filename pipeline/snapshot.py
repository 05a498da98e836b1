"""Config texts become an immutable snapshot: plain functions and tables, nothing decided per event.

The one place where the models meet the compilers of match, render and deliver. Everything that is wrong
is collected; a snapshot exists only where nothing is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from pipeline.config.convert import delivery_settings, receiver_settings
from pipeline.config.diagnostics import Problems
from pipeline.config.files import ConfigText
from pipeline.config.paths import EVENT_ROOTS
from pipeline.config.report import Finding, in_order, render, summary
from pipeline.config.secrets import Secrets
from pipeline.config.settings import DeliverySettings, ReceiverSettings
from pipeline.config.webhooks import CheckedConfig, CheckedFile, check_files
from pipeline.deliver.spec import FailWhen, LaneSpec, Wrap
from pipeline.lint import lint_webhook
from pipeline.match.conditions import Predicate, compile_condition
from pipeline.match.index import TriggerIndex
from pipeline.match.labels import Labels, compile_labels
from pipeline.match.triggers import Trigger, compile_trigger
from pipeline.model.errors import ConfigError
from pipeline.model.records import Json
from pipeline.render.batch import compile_wrap
from pipeline.render.request import RequestTemplate, compile_request


@dataclass(slots=True, frozen=True, eq=False)
class Webhook:
    """One webhook, ready to match, render and deliver."""

    id: str
    enabled: bool
    trigger: Trigger
    request: RequestTemplate
    delivery: DeliverySettings
    receiver: ReceiverSettings
    spec: LaneSpec
    definition: str
    """Hash of its own text."""
    file: str
    """Its file, relative to the config directory."""
    data: Mapping[str, Json] = field(repr=False)
    """What the file says, bases and defaults merged, for `explain`."""


@dataclass(slots=True, frozen=True, eq=False)
class Snapshot:
    """One version of the config. ``webhooks`` is in the order of the files' names."""

    hash: str
    text: ConfigText
    webhooks: tuple[Webhook, ...]
    by_id: Mapping[str, Webhook]
    triggers: TriggerIndex
    """Over the enabled webhooks; index i is ``webhooks[i]``."""
    labels: Labels
    lists: Mapping[str, Mapping[str, Sequence[str]]]
    """Per webhook: the entries of the list files that it names."""


@dataclass(slots=True)
class Report:
    """What compiling found; ``snapshot`` is None where there is an error."""

    snapshot: Snapshot | None
    findings: list[Finding]
    root: str = ""
    webhooks: int = 0
    labels: int = 0

    @property
    def errors(self) -> int:
        """How many of the findings are errors."""
        return sum(not finding.warning for finding in self.findings)

    @property
    def warnings(self) -> int:
        """How many of the findings are warnings."""
        return len(self.findings) - self.errors

    def render(self) -> str:
        """Return every finding with its place and the closing line; "" where there is none."""
        return render(self.findings, root=self.root)

    def summary(self) -> str:
        """Return the closing line alone."""
        return summary(self.findings)

    def require(self) -> Snapshot:
        """Return the snapshot; raises ConfigError that shows every problem."""
        if self.snapshot is None:
            raise ConfigError(self.render())
        return self.snapshot


class _FromEnvironment:
    """Secrets are looked up in the environment of this process, files below the config directory."""


FROM_ENVIRONMENT: Final = _FromEnvironment()


def compile_config(
    text: ConfigText, *, secrets: Secrets | _FromEnvironment | None = FROM_ENVIRONMENT
) -> Report:
    """Compile a config; equal texts give equal snapshots on every host.

    secrets: where they are looked up, so that a missing one is an error; None: they are not looked up
    (a version of long ago that only has to render again).
    """
    if isinstance(secrets, _FromEnvironment):
        secrets = Secrets(os.environ, Path(text.root))
    checked = check_files(text)
    entries = {name: found for file in checked.labels for name, found in file.lists.items()}
    labels = compile_labels([(file.data, file.problems) for file in checked.labels], lists=entries)
    webhooks = [_compile(file, text, labels, secrets) for file in checked.webhooks]
    return _report(text, checked, labels, webhooks)


def _compile(file: CheckedFile, text: ConfigText, labels: Labels, secrets: Secrets | None) -> Webhook:
    model, problems = file.model, file.problems
    condition = partial(_condition, labels=labels, file=file)
    trigger = compile_trigger(
        file.data,
        model.id,
        labels=labels,
        exclude=() if model.include_excluded else text.defaults.exclude,
        lists=file.lists,
        vars=model.vars,
        problems=problems,
    )
    request = compile_request(
        file.data["request"],
        webhook_id=model.id,
        vars=model.vars,
        condition=condition,
        settings=text.settings,
        secrets=secrets,
        problems=problems.at("request"),
        file=file.file,
    )
    delivery = delivery_settings(model.delivery)
    receiver = receiver_settings(model.request)
    lint_webhook(model, text, problems)
    spec = LaneSpec(
        webhook_id=model.id,
        definition=file.definition,
        enabled=model.enabled,
        delivery=delivery,
        receiver=receiver,
        encoding=model.request.encoding,
        has_secrets=request.has_secrets,
        wrap=_wrap(delivery, file, problems.at("delivery", "batch")),
        fail_when=_fail_when(delivery, file, labels, problems.at("delivery", "fail_when")),
    )
    return Webhook(
        model.id,
        model.enabled,
        trigger,
        request,
        delivery,
        receiver,
        spec,
        spec.definition,
        file.file,
        file.data,
    )


def _wrap(delivery: DeliverySettings, file: CheckedFile, problems: Problems) -> Wrap | None:
    if delivery.batch is None:
        return None
    return compile_wrap(delivery.batch, vars=file.model.vars, problems=problems, file=file.file)


def _fail_when(
    delivery: DeliverySettings, file: CheckedFile, labels: Labels, problems: Problems
) -> FailWhen | None:
    if delivery.fail_when is None:
        return None
    return compile_condition(
        delivery.fail_when,
        problems,
        labels=labels,
        lists=file.lists,
        vars=file.model.vars,
        roots=("response", "vars"),
    ).whole


def _condition(tree: Json, problems: Problems, *, labels: Labels, file: CheckedFile) -> Predicate:
    return compile_condition(
        tree,
        problems,
        labels=labels,
        lists=file.lists,
        vars=file.model.vars,
        roots=(*EVENT_ROOTS, "item", "index"),
    ).whole


def _report(text: ConfigText, checked: CheckedConfig, labels: Labels, webhooks: list[Webhook]) -> Report:
    findings = list(checked.findings)
    for file in (*checked.labels, *checked.webhooks):
        findings.extend(file.findings())
    findings = in_order(findings)
    report = Report(None, findings, text.root, len(webhooks), len(checked.labels))
    if report.errors == 0:
        report.snapshot = Snapshot(
            hash=text.hash,
            text=text,
            webhooks=tuple(webhooks),
            by_id={webhook.id: webhook for webhook in webhooks},
            triggers=TriggerIndex([webhook.trigger for webhook in webhooks]),
            labels=labels,
            lists={file.model.id: file.lists for file in checked.webhooks},
        )
    return report
