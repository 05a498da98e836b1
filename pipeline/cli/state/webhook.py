"""``hookline webhook``: stop sending to one webhook, or send again, without touching its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import Actions, config_option, state_dir, state_option
from pipeline.cli.output import json_option, print_json, say, table

if TYPE_CHECKING:
    from pipeline.deliver.halts import Order


@click.group(cls=Actions)
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
    from pipeline.operate.halts import webhook_states

    found = webhook_states(state_dir(config, state), config)
    if as_json:
        print_json([one.to_json() for one in found])
        return
    table(
        ("webhook", "state", "fires on", "url"), [(one.id, one.state, one.trigger, one.url) for one in found]
    )


def _verb(order: Order, then: str, help: str) -> None:
    """Add one verb; the four differ in what they set and say."""

    @webhook.command(order, help=help)
    @config_option
    @state_option
    @click.argument("id")
    def command(config: Path, state: Path | None, id: str) -> None:
        from pipeline.operate.halts import give_order

        now = give_order(state_dir(config, state), config, id, order)
        say(f"{id}: {then} {'now' if now else 'from the next start on'}")


_verb("disable", "disabled", "Send nothing more to a webhook, until `enable`.")
_verb("enable", "active", "Send to a webhook again, also after a 410 answer.")
_verb("pause", "paused", "Send nothing to a webhook for a while, until `resume`.")
_verb("resume", "active", "Send to a paused webhook again.")
