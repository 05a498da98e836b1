"""``hookline check``: everything that is wrong with a config, each problem at its place."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pipeline.cli.options import config_option
from pipeline.cli.output import json_option, print_json, say
from pipeline.model.exits import Exit

if TYPE_CHECKING:
    from pipeline.config.job import PipelineConfig
    from pipeline.model.findings import Finding

POLL_SECS = 0.25


class Verdict(NamedTuple):
    """What a check found."""

    findings: list[Finding]
    webhooks: int
    labels: int

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(not finding.warning for finding in self.findings)


@click.command()
@config_option
@click.option("--watch", is_flag=True, help="Check again whenever a file changes, until Ctrl-C.")
@click.option(
    "--offline",
    is_flag=True,
    help="Do not look up secrets and settings: for a machine that does not have them.",
)
@json_option
def check(config: Path, watch: bool, offline: bool, as_json: bool) -> int:
    """Show every problem of a config with file, line, column and a remedy.

    Exit code 1 if there is an error; warnings alone are no error. Nothing is sent, no network is used.
    """
    if watch:
        follow(config, lambda: tell(config, examine(config, offline), as_json))
        return Exit.OK
    verdict = examine(config, offline)
    tell(config, verdict, as_json)
    return Exit.PROBLEMS if verdict.errors else Exit.OK


def examine(config: Path, offline: bool) -> Verdict:
    """Check pipeline.yaml, labels and webhooks. Raises ConfigError where there is no config directory."""
    from pipeline.compile.snapshot import compile_config
    from pipeline.config.files import JobDefaults, read_config
    from pipeline.config.job import load_pipeline

    pipeline = load_pipeline(config)
    defaults = pipeline.config.defaults if pipeline.config is not None else JobDefaults()
    text = read_config(config, defaults=defaults)
    report = compile_config(text, offline=offline)
    own = [found for found in pipeline.findings if not offline or found.code != "missing-setting"]
    if pipeline.config is not None and not offline:
        own += check_kafka(pipeline.config)
    return Verdict([*own, *report.findings], report.webhooks, report.labels)


def check_kafka(config: PipelineConfig) -> list[Finding]:
    """Return what librdkafka says about the settings it is given; it contacts nobody."""
    from pipeline.config.job import FILE
    from pipeline.config.models.job import KafkaSource
    from pipeline.model.findings import Finding

    if not isinstance(config.source, KafkaSource) or not config.source.settings:
        return []
    # librdkafka takes a tenth of a second to load: only for those who read topics.
    from pipeline.kafka.client import KafkaSettings, check_settings

    problem = check_settings(KafkaSettings.of(config.source))
    return [] if problem is None else [Finding(FILE, 0, 0, "kafka-settings", problem)]


def tell(config: Path, verdict: Verdict, as_json: bool) -> None:
    """Print the findings and a closing line, or all of it as JSON."""
    from pipeline.model.findings import render

    if as_json:
        print_json(as_json_value(verdict))
        return
    if verdict.findings:
        click.echo(render(verdict.findings, root=str(config)))
    if not verdict.errors:
        webhooks = f"{verdict.webhooks} webhook{'s' * (verdict.webhooks != 1)}"
        labels = f", {verdict.labels} label{'s' * (verdict.labels != 1)}" if verdict.labels else ""
        click.echo(f"{config}: {webhooks}{labels}, {'no errors' if verdict.findings else 'no problems'}")


def as_json_value(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON data."""
    from pipeline.model.findings import in_order

    return {
        "ok": not verdict.errors,
        "errors": verdict.errors,
        "warnings": len(verdict.findings) - verdict.errors,
        "webhooks": verdict.webhooks,
        "labels": verdict.labels,
        "findings": [
            {
                "file": found.file,
                "line": found.line,
                "column": found.column,
                "severity": "warning" if found.warning else "error",
                "code": found.code,
                "message": found.message,
                "hint": found.hint,
            }
            for found in in_order(verdict.findings)
        ],
    }


def follow(config: Path, again: Callable[[], None]) -> None:
    """Call ``again`` now and after each change of the directory, until Ctrl-C."""
    from pipeline.config.watch import Unreadable, Watcher
    from pipeline.model.errors import ConfigError

    watcher = Watcher(config, "", clock=time.monotonic)
    try:
        while True:
            change = watcher.poll()
            if change is not None:
                try:
                    again()
                except ConfigError as error:
                    click.echo(change.message if isinstance(change, Unreadable) else str(error))
                say(f"{time.strftime('%H:%M:%S')} waiting for the next change; Ctrl-C ends")
            time.sleep(POLL_SECS)
    except KeyboardInterrupt:
        return
