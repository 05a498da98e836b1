"""``hookline state``: looking after a state directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import Actions, config_option, on_state, state_dir, state_option
from pipeline.cli.output import json_option, print_json, print_text, say, table
from pipeline.model.process.exits import Exit
from pipeline.model.words import counted


@click.group(cls=Actions)
def state() -> None:
    """Check a state directory, free unused space, or rebuild lost stores."""


@state.command()
@on_state
@click.option(
    "--rewrite", is_flag=True, help="If nothing is damaged, add checksums to rows of older versions."
)
@json_option
def check(state: Path, rewrite: bool, as_json: bool) -> int:
    """Check a whole state directory; also beside a running job. Exit code 3 if anything is damaged.

    Reads every row of every store, and every other file: the recovery store, config versions and their
    history, commands for a stopped job. Rows written by an older version have no checksum until they change,
    so damage in them may go undetected. With --rewrite, for a stopped job, all get one.
    """
    from pipeline.outbox.reading import care
    from pipeline.runtime.state.check import check_directory

    looked = check_directory(state)
    problems = looked.problems
    found: dict[str, Any] = {"stores": looked.stores, "rows": looked.rows, "problems": problems}
    if rewrite and not problems:
        with owned(state):
            found["rewritten"] = care.rewrite(state)
    if as_json:
        print_json(found)
        return Exit.STATE if problems else Exit.OK
    for problem in problems:
        print_text(f"error: {problem}")
    told = counted(len(problems), "problem") if problems else "no problems"
    print_text(f"{state}: {counted(looked.stores, 'store')}, {counted(looked.rows, 'row')}, {told}")
    if "rewritten" in found:
        say(f"{counted(found['rewritten'], 'row')} rewritten")
    return Exit.STATE if problems else Exit.OK


@state.command()
@config_option
@state_option
@json_option
def rebuild(config: Path, state: Path | None, as_json: bool) -> None:
    """Rebuild stores whose files are lost: users and links, read again from the source.

    Pending deliveries, dead letters, limits and counts of a lost store cannot be recovered.
    """
    from dataclasses import asdict, replace

    from pipeline.compile.shapes import read_formats
    from pipeline.config.job import load_pipeline
    from pipeline.runtime.rebuilding.rebuild import rebuild as rebuild_stores

    job = load_pipeline(config, check_source=True, guard_state=True).require()
    done = rebuild_stores(
        replace(job, state=state_dir(config, state)),
        config,
        read_formats(config, job.defaults),
        lambda records: say(f"{counted(records, 'record')} read"),
    )
    if as_json:
        print_json(asdict(done))
    elif not done.shards and not done.identities:
        print_text("nothing is missing")
    else:
        print_text(
            f"rebuilt {counted(len(done.shards), 'shard')} and "
            f"{counted(len(done.identities), 'identity store')} "
            f"from {counted(done.records, 'record')}"
        )
    if done.invalid:
        say(
            f"warning: {counted(done.invalid, 'record')} could not be read by the present shapes; users and "
            "links that they name are not restored"
        )
    if done.gone:
        say(
            f"warning: {', '.join(done.gone[:5])}{', ..' if len(done.gone) > 5 else ''}: the job has read "
            "more than is left of these files; users and links that only the rest named are not restored"
        )


@state.command()
@on_state
@json_option
def compact(state: Path, as_json: bool) -> None:
    """Rewrite the stores of a stopped job without the space of deleted rows."""
    from pipeline.outbox.reading import care
    from pipeline.outbox.reading.view import stores

    stores(state)
    with owned(state):
        done = list(care.compact(state))
    if as_json:
        print_json([
            {"store": str(one.store.relative_to(state)), "before_bytes": one.before, "after_bytes": one.after}
            for one in done
        ])  # fmt: skip
        return
    rows = [(str(one.store.relative_to(state)), one.before, one.after) for one in done]
    table(("store", "bytes before", "after"), rows, right=("bytes before", "after"))
    say(f"{sum(one.before - one.after for one in done):,} bytes given back")


@contextmanager
def owned(state: Path) -> Iterator[None]:
    """Hold a state directory. Raises StateError while a job runs on it, NoState where none has."""
    from pipeline.model.errors import NoState
    from pipeline.runtime.state.directory import StateDirectory, describe

    described = describe(state)
    if described is None:
        raise NoState.at(state)
    directory = StateDirectory(state, shards=described[1])
    try:
        yield
    finally:
        directory.close()
