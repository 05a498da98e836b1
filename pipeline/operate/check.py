"""Every problem of a config, each with its place."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.compile.answers import NEVER_HOLDS
from pipeline.compile.snapshot import Report, compile_config
from pipeline.config.files import NOTHING, JobDefaults, read_config
from pipeline.config.job import PipelineConfig, PipelineReport, load_pipeline
from pipeline.config.places import FILE
from pipeline.config.watch import Watcher
from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError
from pipeline.model.findings import Finding
from pipeline.model.process.bounds import Exceeded, bounded

POLL_SECS = 0.25


def check(config: Path, *, offline: bool = False, unsaved: Mapping[str, str | None] = NOTHING) -> Report:
    """Check pipeline.yaml, labels and webhooks; nothing is sent, no network is used.

    offline: secrets and settings are not looked up. unsaved: texts that replace files (None: no such file).
    Exceeding the limits of `model.bounds` is a finding. Raises ConfigError where there is no config
    directory.
    """
    try:
        with bounded(root=str(config)):
            return _check(config, offline, unsaved)
    except Exceeded as error:
        return Report(None, [error.finding], str(config))


def _check(config: Path, offline: bool, unsaved: Mapping[str, str | None]) -> Report:
    pipeline = load_pipeline(config, collects=not offline, unsaved=unsaved)
    defaults = JobDefaults()
    if pipeline.config is not None:
        defaults = pipeline.config.defaults
    elif (config / FILE).exists():
        # Its limits are unknown until it is fixed: no webhook is blamed for exceeding them.
        defaults = replace(defaults, network_allow=("0.0.0.0/0", "::/0"))
    secrets = None if offline else Secrets(base=config)
    report = compile_config(
        read_config(config, defaults=defaults, unsaved=unsaved), secrets=secrets, offline=offline
    )
    report.findings = all_found(pipeline, report, offline=offline)
    return report


def all_found(pipeline: PipelineReport, report: Report, *, offline: bool = False) -> list[Finding]:
    """Return all findings of a config: those of pipeline.yaml, then those of its other files."""
    own = [found for found in pipeline.findings if not offline or found.code != "missing-setting"]
    if pipeline.config is not None and not offline:
        own += pipeline.placed(_wrong_settings(pipeline.config))
    # A job tolerates these, since it always did, but they are wrong all the same.
    found = (replace(one, warning=False) if one.code == NEVER_HOLDS else one for one in report.findings)
    return own + [placed for one in found for placed in _at_exclude(pipeline, one)]


def _at_exclude(pipeline: PipelineReport, finding: Finding) -> Iterable[Finding]:
    """Return the findings about pipeline.yaml's `exclude` from compiling the webhooks."""
    if finding.file != FILE or finding.line:
        return [finding]
    excluded = () if pipeline.config is None else pipeline.config.defaults.exclude
    problems = Problems()
    for index, name in enumerate(excluded):
        if f"`{name}`" in finding.message:
            problems.error(("exclude", index), finding.code, finding.message, hint=finding.hint)
    return [*pipeline.placed(problems)] or [finding]


def check_changes(config: Path, *, offline: bool) -> Iterator[Report | str]:
    """Yield what a check finds now and after each change of the directory, without end.

    A text says why the directory cannot be read as a config.
    """
    watcher = Watcher(config, "", clock=time.monotonic)
    while True:
        change = watcher.poll()
        if change is not None:
            try:
                yield check(config, offline=offline)
            except ConfigError as error:
                yield str(change if isinstance(change, ConfigError) else error)
        time.sleep(POLL_SECS)


def _wrong_settings(config: PipelineConfig) -> Problems:
    """Return what librdkafka says about its settings; it contacts nobody."""
    problems, file = Problems(), config.file
    source = None if file.source is None else file.source.kafka
    sink = None if file.collect is None else file.collect.to.kafka
    copies = file.dead_letters.kafka
    if not any(one is not None and one.settings for one in (source, sink, copies)):
        return problems
    # librdkafka takes a tenth of a second to load: only for configs with topics.
    from pipeline.collect.sinks import kafka_clients as collecting
    from pipeline.kafka.client import OWN
    from pipeline.kafka.passed import CONSUMER, PRODUCER, all_wrong
    from pipeline.outbox.copies import kafka_copies as copying

    for path, has, kind, closed in (
        (("source", "kafka"), source, CONSUMER, OWN),
        (("collect", "to", "kafka"), sink, PRODUCER, collecting.CLOSED),
        (("dead_letters", "kafka"), copies, PRODUCER, copying.CLOSED),
    ):
        for wrong in all_wrong(kind, has.settings, closed) if has is not None else ():
            at = (*path, "settings", *([wrong.name] if wrong.name else ()))
            problems.error(at, "kafka-settings", wrong.told, hint=wrong.hint or None, on_key=True)
    return problems
