"""``hookline diff``: what another config would have sent for a recorded stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from pipeline.cli import requests
from pipeline.cli.options import ConfigDir
from pipeline.cli.output import json_option, print_json, table
from pipeline.model.exits import Exit

if TYPE_CHECKING:
    from pipeline.operate.dry_run import Fired

COLUMNS = ("same", "appear", "vanish", "change")


@dataclass(slots=True)
class Difference:
    """What differs for one webhook, with the first few of each kind."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))
    samples: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)

    def add(self, kind: str, old: Any, new: Any, keep: int) -> None:
        """Count one delivery."""
        self.counts[kind] += 1
        kept = self.samples.setdefault(kind, [])
        if kind != "same" and len(kept) < keep:
            kept.append((old, new))


@click.command()
@click.argument("old", type=ConfigDir())
@click.argument("new", type=ConfigDir())
@click.option(
    "--stream", "streams", multiple=True, required=True, metavar="PATH", help="Recording to run both over."
)
@click.option(
    "--samples", type=click.IntRange(0), default=3, show_default=True, help="How many of each kind to show."
)
@click.option("--exit-code", is_flag=True, help="Exit 1 if there is a difference.")
@json_option
def diff(old: Path, new: Path, streams: tuple[str, ...], samples: int, exit_code: bool, as_json: bool) -> int:
    """Show which deliveries would appear, vanish or change from config OLD to config NEW.

    Both run over the recording in memory, as the job would; nothing is sent.
    """
    found = compare(old, new, streams, samples)
    if as_json:
        print_json({webhook: as_json_value(one) for webhook, one in found.items()})
    else:
        tell(found)
    differs = any(one.counts[kind] for one in found.values() for kind in COLUMNS[1:])
    return Exit.PROBLEMS if exit_code and differs else Exit.OK


def compare(old: Path, new: Path, streams: tuple[str, ...], samples: int) -> dict[str, Difference]:
    """Return the differences per webhook, in the order of the two configs."""
    from pipeline.model.records import Invalid
    from pipeline.operate.dry_run import DryRun
    from pipeline.operate.given import load_snapshot, read_stream

    snapshots = load_snapshot(old), load_snapshot(new)
    runs = DryRun(snapshots[0]), DryRun(snapshots[1])
    found = {webhook.id: Difference() for snapshot in snapshots for webhook in snapshot.webhooks}
    for record in read_stream(streams):
        if isinstance(record, Invalid):
            continue
        before, after = ({(one.webhook.id, one.message_id): one for one in run.feed(record)} for run in runs)
        for (webhook, kind), (was, now) in _pairs(before, after):
            found[webhook].add(kind, was, now, samples)
    return found


def as_json_value(one: Difference) -> dict[str, Any]:
    """Return a difference as JSON data."""
    samples = {
        kind: [{"old": was, "new": now} for was, now in kept] for kind, kept in one.samples.items() if kept
    }
    return {**one.counts, "samples": samples}


def _pairs(
    before: dict[tuple[str, str], Fired], after: dict[tuple[str, str], Fired]
) -> Iterator[tuple[tuple[str, str], tuple[Any, Any]]]:
    for key in dict.fromkeys([*before, *after]):
        was = requests.as_json_value(before[key]) if key in before else None
        now = requests.as_json_value(after[key]) if key in after else None
        kind = "appear" if was is None else "vanish" if now is None else "same" if was == now else "change"
        yield (key[0], kind), (was, now)


def tell(found: dict[str, Difference]) -> None:
    """Print the counts, then samples."""
    rows = [(webhook, *[one.counts[column] for column in COLUMNS]) for webhook, one in found.items()]
    table(("webhook", *COLUMNS), rows, right=COLUMNS)
    for webhook, one in found.items():
        for kind in COLUMNS[1:]:
            for was, now in one.samples.get(kind, []):
                click.echo(f"\n{webhook}: {kind}")
                for mark, row in (("-", was), ("+", now)):
                    if row is not None:
                        click.echo(f"{mark} {_line(row)}")


def _line(row: dict[str, Any]) -> str:
    if "method" not in row:
        return f"dead letter: {row['dead_letter']}" if "dead_letter" in row else "suppressed"
    body = row["body"] if isinstance(row["body"], str) else orjson.dumps(row["body"]).decode()
    return f"{row['method']} {row['url']} {body}"
