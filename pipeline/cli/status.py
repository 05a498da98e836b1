"""``hookline status``: the accounting of a state directory, while a job runs on it and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli.accounts import records_line, show_webhooks
from pipeline.cli.options import config_option, state_dir, state_option
from pipeline.cli.output import json_option, print_json


@click.command()
@config_option
@state_option
@json_option
def status(config: Path, state: Path | None, as_json: bool) -> None:
    """Show what was read, delivered, given up and is still owed.

    The numbers are cumulative over the life of the state directory and include the last finished epoch of
    a running job. matched = delivered + dead + pending + suppressed.
    """
    from pipeline.state.view import accounting

    where = state_dir(config, state)
    found: dict[str, Any] = {
        **accounting(where),
        "latency_ms": {"p50": None, "p99": None},
        "elapsed_secs": None,
    }
    live = running(where)
    if live:
        found.update({key: value for key, value in live[0].items() if key not in ("records", "webhooks")})
    found["running"] = bool(live)
    found["state"] = str(where)
    if as_json:
        print_json(found)
        return
    click.echo(f"{where}: " + ("a job is running" if live else "no job is running"))
    click.echo(records_line(found["records"]))
    show_webhooks(found["webhooks"])


def running(state: Path) -> list[dict[str, Any]]:
    """Return what each process of the running job says of itself; [] where none runs."""
    from pipeline.admin.control import NotRunning, ask

    try:
        return ask(state, "status")
    except NotRunning:
        return []
