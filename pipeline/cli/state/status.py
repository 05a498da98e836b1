"""``hookline status``: the accounting of a state directory, while a job runs on it and after."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.accounts import (
    invalid_hint,
    order_lines,
    records_line,
    show_names,
    show_webhooks,
    silent_lines,
)
from pipeline.cli.options import on_stores
from pipeline.cli.output import json_option, print_json, print_text
from pipeline.deliver.halts import halted
from pipeline.model.words import counted

LEFT = {
    "replay": ("dead letter", "to be sent again"),
    "purge": ("dead letter", "to be deleted"),
    "drop": ("pending request", "to be given up"),
}
"""What each request that waits for a job's next start does, and to what."""


@click.command()
@on_stores
@json_option
def status(state: Path, as_json: bool) -> None:
    """Show what was read, and what is delivered, dead and pending.

    The numbers are cumulative over the lifetime of the state directory and include the last finished epoch of
    a running job. matched = delivered + dead + pending + suppressed.
    """
    from pipeline.operate.running.status import status as status_of

    found = status_of(state)
    if as_json:
        print_json(found.to_json())
        return
    live = found.running
    print_text(f"{found.state}: {'a job is running' if live else 'no job is running'}")
    print_text(records_line(found.records))
    if line := invalid_hint(found.state, found.records):
        print_text(line)
    print_text(*order_lines(found.records))
    show_webhooks(found.records, found.webhooks)
    show_names(live.events_seen if live else ())
    print_text(*silent_lines(found.state, found.records, found.webhooks))
    if live and live.still_secs:
        print_text(
            f"the job has been stuck for {live.still_secs:,.0f} s: nothing is read or committed. Its log "
            "says where; a restart is safe"
        )
    if live and live.waits:
        print_text(f"{live.waits}. What is behind them in their partition waits, too; nothing is lost")
    if live and live.config["problems"]:
        print_text("the config was edited and is refused; what ran before still runs:")
        print_text(live.config["problems"])
    for webhook, halt in found.halted.items():
        print_text(halted(webhook, halt))
    for webhook, lane in (live.lanes if live else {}).items():
        if until := lane.get("single_until"):  # a job of an older version does not say
            print_text(
                f"{webhook}: its receiver answers what it was not asked, and gets a connection per request "
                f"until {str(until)[11:19]}. Look for what answers twice: it, or a proxy before it"
            )
    for action, number in found.left.items():
        print_text(f"at the next start: {counted(number, LEFT[action][0])} {LEFT[action][1]}")
    for webhook, why in found.waiting.items():
        print_text(why.line(webhook, found.webhooks[webhook]["pending"]))
