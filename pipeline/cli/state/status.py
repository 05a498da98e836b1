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
    from pipeline.deliver.halts import Halts
    from pipeline.outbox.view import accounting

    where = state_dir(config, state)
    found: dict[str, Any] = {
        **accounting(where),
        "latency_ms": {"p50": None, "p99": None},
        "elapsed_secs": None,
    }
    live = running(where)
    found["running"] = bool(live)
    found["state"] = str(where)
    found["halted"] = Halts(where).all()
    if live:
        found["elapsed_secs"] = max(one["elapsed_secs"] for one in live)
        found["latency_ms"] = {name: max(one["latency_ms"][name] for one in live) for name in ("p50", "p99")}
        found["lanes"] = lanes(live)
        found["config"] = next(
            (one["config"] for one in live if one["config"]["problems"]), live[0]["config"]
        )
    if as_json:
        print_json(found)
        return
    click.echo(f"{where}: {'a job is running' if live else 'no job is running'}")
    click.echo(records_line(found["records"]))
    show_webhooks(found["webhooks"])
    if live and found["config"]["problems"]:
        click.echo(
            f"the config was edited and is refused; what ran before still runs:\n"
            f"{found['config']['problems']}"
        )
    for webhook, halt in found["halted"].items():
        click.echo(f"{webhook} is {halt}: `hookline webhook enable {webhook}` sends again")
    for webhook, lane in found.get("lanes", {}).items():
        if lane["breaker"] != "closed" or lane["waiting"]:
            click.echo(
                f"{webhook}: breaker {lane['breaker']}, {lane['waiting']:,} wait; last: {lane['error']}"
            )


def lanes(live: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the lanes of all processes: numbers added up, the rest of the process that has most to say."""
    merged: dict[str, dict[str, Any]] = {}
    for process in live:
        for webhook, lane in process["lanes"].items():
            known = merged.setdefault(webhook, dict.fromkeys(lane, 0) | {"breaker": "closed"})
            for name, value in lane.items():
                if name in (
                    "queued",
                    "in_flight",
                    "waiting",
                    "on_disk",
                    "limit",
                    "delivered",
                    "retried",
                    "dead",
                ):
                    known[name] += value
                elif name == "breaker":
                    known[name] = value if value != "closed" else known[name]
                else:
                    known[name] = value or known[name]
    return merged


def running(state: Path) -> list[dict[str, Any]]:
    """Return what each process of the running job says of itself; [] where none runs."""
    from pipeline.admin.client import NotRunning, ask

    try:
        return ask(state, "status")
    except NotRunning:
        return []
