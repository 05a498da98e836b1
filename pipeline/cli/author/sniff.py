"""``hookline sniff``: which format the records of a stream have, and a shape file for unknown ones."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click
import orjson

from pipeline.cli.options import config_option
from pipeline.cli.output import echo, json_option, print_json, print_text, say
from pipeline.cli.page.lines import room
from pipeline.model.printable import one_line
from pipeline.model.process.exits import Exit
from pipeline.model.words import counted

if TYPE_CHECKING:
    from pipeline.kafka.client import KafkaSettings
    from pipeline.operate.sniff.propose import Proposal
    from pipeline.operate.sniff.sniff import Sniffed

WIDTH = 78


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE|-]...")
@config_option
@click.option(
    "--topic", "topics", multiple=True, metavar="TOPIC", help="Look at the latest messages of a topic."
)
@click.option("--brokers", metavar="HOST:PORT", help="Brokers of --topic; by default those of the config.")
@click.option(
    "-o",
    "--write",
    metavar="NAME",
    help="Write the proposed shape to shapes/NAME.yaml of the config directory.",
)
@click.option(
    "--registry",
    metavar="URL",
    help="Schema Registry of framed records; by default what the config says of their topic.",
)
@click.option("--own", is_flag=True, help="Propose for all records, also those that a built-in shape reads.")
@json_option
def sniff(
    files: tuple[str, ...],
    config: Path,
    topics: tuple[str, ...],
    brokers: str | None,
    write: str | None,
    registry: str | None,
    own: bool,
    as_json: bool,
) -> int:
    """Identify the shape of records, and propose a shape file for unknown ones.

    Examines the first 1,000 records (16 MiB) of files, directories or standard input (-), plain or
    compressed, or the latest of topics. A proposal is compiled and tried on all of them before it is shown.
    Only --write writes a file, and it never replaces one.

    Exit code 1 if no shape, not even the proposed one, can decode most of the records.
    """
    from pipeline.operate.sniff import sniff as sniffing
    from pipeline.operate.sniff.sample import sample_files, sample_topics

    if bool(files) == bool(topics):
        raise click.UsageError("name files (or - for standard input), or topics: --topic TOPIC")
    if brokers and not topics:
        raise click.UsageError("--brokers goes with --topic")
    sample = sample_topics(_settings(config, brokers), topics) if topics else sample_files(files)
    found = sniffing.sniff(sample, config, write, own_for_all=own, registry=registry)
    if as_json:
        print_json(found.to_json())
    else:
        tell(found, config, brokers, write is not None)
    if write is not None:
        if len(found.proposals) != 1:
            none = "there is no shape to propose"
            several = "several shapes are proposed: sniff their files or topics one by one"
            say(f"nothing was written: {several if found.proposals else none}")
            return Exit.PROBLEMS
        path = sniffing.write(config, found.proposals[0])
        say(f"written: {path}. Now `hookline check -c {quote(str(config))}`")
    return Exit.OK if found.is_helpful else Exit.PROBLEMS


def _settings(config: Path, brokers: str | None) -> KafkaSettings:
    from pipeline.kafka.client import KafkaSettings

    if brokers is not None:
        return KafkaSettings(brokers, group="hookline-sniff")
    from pipeline.config.job import load_pipeline
    from pipeline.config.models.installation.source import KafkaSource

    source = load_pipeline(config).require().source
    if not isinstance(source, KafkaSource):
        raise click.UsageError("--topic wants --brokers HOST:PORT: pipeline.yaml has no `source.kafka`")
    return KafkaSettings.of(source, aside="replay")


def tell(found: Sniffed, config: Path, brokers: str | None, is_written: bool) -> None:
    """Print the shapes, the proposal with what it makes of the first records, and what to put where."""
    for part in found.parts:
        if part.looks_like is not None:
            told = f"{part.name} {'is' if part.is_sure else 'looks like'} {part.looks_like}."
            _wrapped(f"{told} Remedy: {(part.remedy or '').replace('FILE', part.name)}")
    if not found.records:
        if all(part.looks_like is None for part in found.parts):
            echo("there is no record")
        return
    many = len(found.parts) > 1 or any(part.name not in found.formats for part in found.parts)
    is_topic = any(part.is_topic for part in found.parts)
    which = (
        "all there are"
        if all(part.is_whole for part in found.parts)
        else "the latest ones"
        if is_topic
        else "the first ones"
    )
    named = (
        ", ".join(part.name for part in found.parts) if len(found.parts) < 4 else f"{len(found.parts)} files"
    )
    print_text(f"{counted(found.records, 'record')} of {named} ({which}):")
    echo()
    for row in found.found:
        share = 100 * row.records / found.records
        unread = f", {row.unread:,} of them cannot be read" if 0 < row.unread < row.records else ""
        print_text(f"{row.records:>9,}  {share:>5.1f} %  {row.shape}{unread}")
        if many and len(row.parts) <= 6 and len(found.formats) > 1:
            _wrapped("in " + ", ".join(row.parts), indent=21)
        if row.reason is not None and row.shape != "home-made":
            _wrapped(f"{row.place}: {row.reason}", indent=21)
    for shape, name, count in found.lost:
        echo()
        _wrapped(
            f"`{shape}` reads nothing of the field `{name}` of {counted(count, 'record')}. Where it matters, "
            "`--own` proposes a shape that keeps it."
        )
    for made in found.proposals:
        _tell_proposal(made)
    if not found.proposals and any(row.shape == "home-made" for row in found.found):
        row = next(row for row in found.found if row.shape == "home-made")
        echo()
        why = "none of their fields looks like the id of a user, a device or a thing"
        if row.reason is not None and row.reason.startswith("a member of `the list` is"):
            why = (
                "they are lists, whose places have no names. Remedy: make objects of them, such as "
                "`jq -c '{time: .[0], user_id: .[1], name: .[2]}'`"
            )
        _wrapped(f"No shape can be proposed for the home-made records: {why}. {row.place}: {row.reason}")
    for note in found.notes:
        echo()
        _wrapped(note)
    _tell_next(found, config, brokers, is_written)


def _tell_proposal(made: Proposal) -> None:
    share = 100 * made.understood / made.records
    echo()
    _wrapped(
        f"A shape for the home-made records, which reads {made.understood:,} of {made.records:,} "
        f"({share:.4g} %):"
    )
    echo()
    echo(made.text.rstrip("\n"))
    if made.reasons:
        echo()
        print_text("What it does not read:")
        for reason, count, place in made.reasons[:5]:
            _wrapped(f"{counted(count, 'record')}, first {place}: {reason}", indent=2)
    from pipeline.operate.sniff.sniff import told

    echo()
    print_text("What it makes of the first records:")
    for place, records in made.first:
        echo(f"  {place}" + ("" if records else ": left out (`ignore`)"))
        for one in list(told(records))[:4]:
            _wrapped(json.dumps(one, ensure_ascii=False), indent=4, most=3)
        if len(records) > 4:
            echo(f"    ... and {len(records) - 4:,} more")


def _tell_next(found: Sniffed, config: Path, brokers: str | None, is_written: bool) -> None:
    echo()
    where = "" if str(config) == "config" else f" -c {config}"
    framed = next((row for row in found.found if row.shape.startswith("framed")), None)
    if framed is not None:
        _wrapped(
            "What is framed is read with the schemas of its registry: `--registry URL` shows what is inside, "
            "and which shape that has (`then: NAME`). docs/input.md says more."
        )
    if not found.formats:
        return
    if set(found.formats.values()) == {"auto"}:
        print_text("Nothing to set: `format: auto`, the default, tells them apart.")
        return
    if len(found.proposals) == 1 and not is_written:
        names = [part.name for part in found.parts]
        flags = " ".join(
            f"--topic {name}" if part.is_topic else quote(name)
            for name, part in zip(names, found.parts, strict=True)
        )
        shown = f"hookline sniff {flags}" + (f" --brokers {brokers}" if brokers else "") + where
        print_text(f"Write it to {config}/shapes/{found.proposals[0].name}.yaml:")
        echo(f"  {shown if len(shown) < 60 else 'hookline sniff ...'} --write {found.proposals[0].name}")
    echo("In pipeline.yaml:")
    # What the remedy makes of a document is what a job can read.
    made = {part.name: "out.jsonl" for part in found.parts if "> out.jsonl" in (part.remedy or "")}
    named = ((name, format) for name, format in found.formats.items() if name not in found.topics)
    files = {made.get(name, name): format for name, format in named}
    if found.topics:
        echo("  source:")
        echo("    kafka:")
        echo(f"      brokers: {brokers or 'localhost:9092'}")
        echo("      topics:")
        for name in sorted(found.topics & found.formats.keys()):
            echo(f"        {name}: {{format: {found.formats[name]}}}")
    if files:
        echo("  source:")
        echo("    jsonl:")
        echo("      paths:")
        for name, format in list(files.items())[:8]:
            path = name if name == "-" or os.path.isabs(name) else os.path.relpath(name, config)
            shown = orjson.dumps(path).decode() if set(path) & set(" ,{}[]#:&*'\"") or name == "-" else path
            echo(f"        - {{path: {shown}, format: {format}}}")
        if len(files) > 8:
            echo(f"        # ... and {len(files) - 8:,} more")
    sample = next((name for name in files if name != "-"), None)
    if sample is not None:
        print_text(f"Then `hookline check{where}` finds mistakes; this shows how the records are decoded:")
        echo(f"  hookline check{where} --sample {sample}")


def _wrapped(text: str, indent: int = 0, most: int | None = None) -> None:
    """Print a text of strangers in lines that fit, at most so many."""
    blank = " " * indent
    lines = textwrap.wrap(
        one_line(text),
        min(WIDTH, room(sys.stdout) or WIDTH),
        break_long_words=False,
        initial_indent=blank,
        subsequent_indent=blank,
        max_lines=most,
        placeholder=" ...",
        break_on_hyphens=False,
    )
    echo("\n".join(lines))
