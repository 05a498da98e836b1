"""``hookline record``: keep incoming records, for replays."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pipeline.cli.kinds import Place
from pipeline.cli.options import config_option, fields_of, setting
from pipeline.cli.output import json_option, print_json, say
from pipeline.model.process.stop import requested, stoppable
from pipeline.model.words import counted


@click.command()
@config_option
@click.option("--out", type=Place(file_okay=False), required=True, help="Directory to write to.")
@setting(
    "--source",
    "source.jsonl.paths",
    env="HOOKLINE_SOURCE",
    multiple=True,
    metavar="PATH",
    help="Record files instead of topics.",
)
@click.option(
    "--compression", type=click.Choice(["zst", "gz", "none"]), default="zst", help="Compression of the files."
)
@click.option("--rotate-mb", type=click.IntRange(1), default=256, help="Start a new file at this size.")
@click.option("--rotate-minutes", type=click.IntRange(1), default=60, help="Or after this time.")
@json_option
def record(
    config: Path,
    out: Path,
    compression: Any,
    rotate_mb: int,
    rotate_minutes: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Record the job's source to JSON Lines files with origin, key and headers, until Ctrl-C.

    Each message is recorded at least once, with its topic, partition and offset, so a replay of the recording
    sends the webhook-ids of the live run. If it was stopped, the same command continues where it was.
    """
    from pipeline.cli.jobs.run import load
    from pipeline.compile.shapes import read_formats
    from pipeline.decode.framed.schemas import FOLDER
    from pipeline.recording import record as recording
    from pipeline.runtime.readers import make_readers, with_schemas
    from pipeline.runtime.state.lives import known_lives
    from pipeline.telemetry import screen

    job = load(config, fields_of(given))
    formats = read_formats(config, job.defaults)
    terminal = screen.is_live(sys.stderr)

    def progress(done: recording.Recorded) -> None:
        if terminal:
            screen.show(f"{done.records:,} records, {done.bytes:,} bytes")

    source_of_all = make_readers(job, aside="record", lives=known_lives(job.state), formats=formats)
    readers, fetcher = with_schemas(source_of_all, job, config, formats, out / FOLDER)
    with stoppable():
        done = recording.record(
            readers,
            out,
            compression=compression,
            rotate_bytes=rotate_mb << 20,
            rotate_secs=rotate_minutes * 60.0,
            stopping=requested,
            progress=progress,
        )
    if fetcher is not None:
        fetcher.close()
    if terminal:
        screen.show("")
    if as_json:
        print_json({"records": done.records, "bytes": done.bytes, "files": done.files})
        return
    say(f"{counted(done.records, 'record')} ({done.bytes:,} bytes) written to {out}")
