"""``hookline config``: the job's settings, and where each value comes from."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.options import Actions, config_option, state_option
from pipeline.cli.output import json_option, print_json, say, table


@click.group(cls=Actions)
def config() -> None:
    """Look at the job's settings."""


@config.command()
@config_option
@state_option
@json_option
def show(config: Path, state: Path | None, as_json: bool) -> None:
    """Print every setting with its value and its origin.

    Flags win over the environment (HOOKLINE_...), the environment over pipeline.yaml, that over defaults.
    """
    from pipeline.config.job import load_pipeline
    from pipeline.model.findings import render

    report = load_pipeline(config, flags={"state": str(state) if state else None})
    settings = report.require().settings
    if report.findings:
        say(render(report.findings, root=report.root))
    if as_json:
        print_json({one.name: {"value": one.value, "origin": one.origin} for one in settings})
        return
    table(
        ("setting", "value", "from"),
        [(one.name, one.written, one.origin) for one in settings],
    )
