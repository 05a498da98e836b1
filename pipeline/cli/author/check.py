"""``hookline check``: every problem of a config, each with its place."""

from __future__ import annotations

import time
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import config_option
from pipeline.cli.output import echo, json_option, print_json, print_text, say
from pipeline.model.errors import UsageError
from pipeline.model.process.exits import Exit
from pipeline.model.words import counted

if TYPE_CHECKING:
    from pipeline.compile.snapshot import Report


@click.command()
@config_option
@click.option("--watch", is_flag=True, help="Check again whenever a file changes, until Ctrl-C.")
@click.option(
    "--offline",
    is_flag=True,
    help="Do not look up secrets and settings: for a machine that does not have them.",
)
@click.option(
    "--sample",
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE",
    help="Also show what the configured formats make of the first lines of a recording.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="github: annotations for the lines of a pull request. `--json` is short for json.",
)
@json_option
def check(config: Path, watch: bool, offline: bool, sample: Path | None, form: str, as_json: bool) -> int:
    """Show every problem of a config with file, line, column and a remedy.

    Exit code 1 if there is an error, or if a line of --sample cannot be read; warnings do not count.
    Nothing is sent, and no network is used.
    """
    from pipeline.operate import check as checking

    as_json = as_json or form == "json"
    if form == "github" and (watch or as_json):
        raise UsageError("--format github excludes --watch and --json")
    if watch:
        follow(config, offline, as_json)
        return Exit.OK
    found = checking.check(config, offline=offline)
    if sample is not None and not found.errors:
        return show_sample(config, sample, as_json)
    if form == "github":
        from pipeline.cli.author.reports import annotated

        for line in annotated(found.findings, found.root):
            echo(line)
    else:
        tell(config, found, as_json)
    return Exit.PROBLEMS if found.errors else Exit.OK


SAMPLE_LINES = 20


def show_sample(config: Path, sample: Path, as_json: bool) -> int:
    """Print the records of the first lines of a recording, each line with its shape; return the exit code."""
    from itertools import islice

    import orjson

    from pipeline.operate.trials.given import formats_for
    from pipeline.operate.trials.lines import read_lines

    found = list(islice(read_lines(str(sample), formats_for(config)), SAMPLE_LINES))
    lines = [line.to_json() for line in found]
    broken = sum(any("dead_letter" in one for one in line["records"]) for line in lines)
    if as_json:
        print_json(lines)
    else:
        for place, line in zip((one.place for one in found), lines, strict=True):
            print_text(f"{place} ({line['format']})" + ("" if line["records"] else ": left out"))
            for record in line["records"]:
                reason = record.get("dead_letter")
                if reason:
                    print_text(f"  dead letter: {reason}")
                else:
                    echo(f"  {orjson.dumps(record).decode()}")
        told = f"{counted(len(lines), 'line')}, {broken:,} of them cannot be read"
        print_text(
            told + (f": `hookline sniff {quote(str(sample))}` says which shape they have" if broken else "")
        )
    return Exit.PROBLEMS if broken else Exit.OK


def tell(config: Path, found: Report, as_json: bool) -> None:
    """Print the findings and a closing line, or all of it as JSON."""
    if as_json:
        print_json(found.to_json())
        return
    if found.findings:
        print_text(found.render())
    if not found.errors:
        webhooks = counted(found.webhooks, "webhook")
        labels = f", {counted(found.labels, 'label')}" if found.labels else ""
        print_text(f"{config}: {webhooks}{labels}, {'no errors' if found.findings else 'no problems'}")


def follow(config: Path, offline: bool, as_json: bool) -> None:
    """Tell now and after each change of the directory, until Ctrl-C."""
    from pipeline.operate.check import check_changes

    try:
        for found in check_changes(config, offline=offline):
            if isinstance(found, str):
                print_text(found)
            else:
                tell(config, found, as_json)
            say(f"{time.strftime('%H:%M:%S', time.gmtime())} waiting for the next change; Ctrl-C ends")
    except KeyboardInterrupt:
        return
