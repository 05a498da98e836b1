"""``hookline webhook``: pause, disable or resume webhooks without touching files; edit their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import Actions, config_option, state_dir, state_option
from pipeline.cli.output import json_option, print_json, say, table
from pipeline.cli.state.webhook_edit import add, set_, unset
from pipeline.model.words import counted

if TYPE_CHECKING:
    from pipeline.deliver.halts import Order
    from pipeline.operate.running.halts import Orders

LISTED = 20
"""Webhooks of which each is told of."""


@click.group(cls=Actions)
def webhook() -> None:
    """List webhooks; disable, enable, pause or resume one, some, or all; edit their files.

    Matches of a disabled or paused webhook stay pending, up to its max_age. The state persists across
    restarts; a webhook whose receiver answered 410 is disabled until its file changes or it is enabled here.
    """


@webhook.command("list")
@config_option
@state_option
@json_option
def list_(config: Path, state: Path | None, as_json: bool) -> None:
    """List the webhooks of the config, their triggers, and whether they are sent."""
    from pipeline.operate.running.halts import webhook_states

    found = webhook_states(state_dir(config, state), config)
    if as_json:
        print_json([one.to_json() for one in found])
        return
    table(
        ("webhook", "state", "fires on", "url"),
        [(one.id, one.state, one.trigger, one.url) for one in found],
        prose=("fires on",),
    )


def _verb(order: Order, then: str, help: str) -> None:
    """Add one verb; the four differ in what they set and say."""

    @webhook.command(order, help=help)
    @config_option
    @state_option
    @click.argument("ids", nargs=-1, metavar="[ID|GLOB]...")
    @click.option("--all", "everything", is_flag=True, help="Every webhook.")
    @json_option
    def command(
        config: Path, state: Path | None, ids: tuple[str, ...], everything: bool, as_json: bool
    ) -> None:
        from pipeline.operate.running.halts import give_order

        if bool(ids) == everything:
            raise click.UsageError("name webhooks, such as crm or 'crm-*', or say --all")
        found = give_order(state_dir(config, state), config, ids, order)
        if as_json:
            print_json([one.to_json() for one in found.webhooks])
        else:
            _show(found, then)


def _show(found: Orders, then: str) -> None:
    """Say what became of an order: of each webhook a line, of many those that owe something."""
    when = "now" if found.now else "from the next start on"
    obeyed = [one for one in found.webhooks if not one.refused]
    for one in obeyed if len(obeyed) <= LISTED else [one for one in obeyed if one.pending]:
        owed = f"; {one.pending:,} pending: {one.becomes}" if one.pending else ""
        say(f"{one.id}: {then} {when}{owed}")
    for one in found.webhooks:
        if one.refused:
            say(f"left as it is: {one.refused}")
    if len(found.webhooks) > 1:
        pending = sum(one.pending for one in obeyed)
        are = f"{counted(len(obeyed), 'webhook')} {'is' if len(obeyed) == 1 else 'are'}"
        owed = f"{pending:,} {'delivery is' if pending == 1 else 'deliveries are'}"
        say(f"{are} {then} {when}; {owed} pending for {'it' if len(obeyed) == 1 else 'them'}")


_verb("disable", "disabled", "Send nothing more to webhooks, until `enable`.")
_verb("enable", "active", "Send to webhooks again, also after a 410 answer.")
_verb("pause", "paused", "Send nothing to webhooks for a while, until `resume`.")
_verb("resume", "active", "Send to paused webhooks again.")

for _edit in (set_, add, unset):
    webhook.add_command(_edit)
