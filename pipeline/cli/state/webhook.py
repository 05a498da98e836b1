"""``hookline webhook``: stop sending to one webhook, or send again, without touching its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import config_option, state_dir, state_option
from pipeline.cli.output import json_option, print_json, say, table
from pipeline.model.errors import UsageError

HALTS = {"enable": None, "resume": None, "disable": "disabled", "pause": "paused"}


@click.group()
def webhook() -> None:
    """See which webhooks are sent to; disable, enable, pause or resume one.

    Matches of a webhook that is not sent to are kept as pending, up to its max_age. The state is remembered
    over restarts; a webhook that answered 410 is disabled until its file changes or it is enabled here.
    """


@webhook.command("list")
@config_option
@state_option
@json_option
def list_(config: Path, state: Path | None, as_json: bool) -> None:
    """List the webhooks of the config with what they match and whether they are sent to."""
    from pipeline.cli.given import load_snapshot
    from pipeline.runtime.state.halts import Halts

    halts = Halts(state_dir(config, state)).all()
    rows: list[dict[str, Any]] = [
        {
            "id": one.id,
            "state": halts.get(one.id, "active") if one.enabled else "off",
            "trigger": _trigger(one.data["trigger"]),
            "url": one.data["request"]["url"],
            "file": one.file,
        }
        for one in load_snapshot(config).webhooks
    ]
    if as_json:
        print_json(rows)
        return
    table(
        ("webhook", "state", "fires on", "url"),
        [[row[key] for key in ("id", "state", "trigger", "url")] for row in rows],
    )


def _trigger(data: dict[str, Any]) -> str:
    kind = "events" if "events" in data else "changes"
    names = data.get(kind, "*")
    return f"{kind}: {names if isinstance(names, str) else ', '.join(names)}"


def _verb(name: str, help: str) -> None:
    """Add one verb; the four differ in what they set and say."""

    @webhook.command(name, help=help)
    @config_option
    @state_option
    @click.argument("id")
    def command(config: Path, state: Path | None, id: str) -> None:
        where = state_dir(config, state)
        how = set_halt(where, config, id, name)
        say(f"{id}: {HALTS[name] or 'active'} {how}")


def set_halt(state: Path, config: Path, id: str, verb: str) -> str:
    """Set the state of a webhook in the running job, or beside a stopped one; return which it was."""
    from pipeline.admin.socket import NotRunning, ask
    from pipeline.cli.given import load_snapshot
    from pipeline.runtime.state.halts import Halts

    try:
        ask(state, f"webhook-{verb}", webhook=id)
    except NotRunning:
        known = load_snapshot(config).by_id
        if id not in known:
            raise UsageError(f"there is no webhook `{id}`; there are: {', '.join(known)}") from None
        Halts(state).set(id, HALTS[verb])
        return "from the next start on"
    return "now"


_verb("disable", "Send nothing more to a webhook, until `enable`.")
_verb("enable", "Send to a webhook again, also after a 410 answer.")
_verb("pause", "Send nothing to a webhook for a while, until `resume`.")
_verb("resume", "Send to a paused webhook again.")
