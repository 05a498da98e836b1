"""``hookline produce``: load a recording into Kafka topics, or let a shop make events."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.kinds import RATE
from pipeline.cli.options import config_option
from pipeline.cli.output import json_option, print_json, say
from pipeline.model.process.stop import requested, stoppable
from pipeline.model.words import counted

if TYPE_CHECKING:
    from pipeline.decode.shape import Shape
    from pipeline.sources.reader import Reader

REPORT_SECS = 0.5


@click.command()
@config_option
@click.argument("paths", nargs=-1, metavar="[FILE]...")
@click.option(
    "--brokers",
    required=True,
    envvar="HOOKLINE_BROKERS",
    show_envvar=True,
    metavar="HOST:PORT,..",
    help="Addresses of the brokers.",
)
@click.option("--events", default="events", metavar="TOPIC", help="Topic of events.")
@click.option("--users", default="user-properties", metavar="TOPIC", help="Topic of user properties.")
@click.option("--one-topic", is_flag=True, help="Put user properties into the topic of events.")
@click.option(
    "--partitions", type=click.IntRange(1), default=4, help="Partitions of topics that do not exist yet."
)
@click.option(
    "--times",
    type=click.Choice(["now", "keep"]),
    default="now",
    help="Timestamps: the present, or those of the records.",
)
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Setting of librdkafka: TLS, SASL. `${NAME}` and `${file:PATH}` stand for secrets.",
)
@click.option("--generate", is_flag=True, help="Instead of files: events of a simulated shop, until Ctrl-C.")
@click.option(
    "--rate",
    type=RATE,
    default=50.0,
    show_default=False,
    metavar="N/s",
    help="With --generate: records per second (50/s).",
)
@click.option(
    "--format",
    metavar="NAME",
    help="Shape of the records: a built-in or, with -c, a custom one; by default `auto`.",
)
@json_option
def produce(
    config: Path,
    paths: tuple[str, ...],
    brokers: str,
    events: str,
    users: str,
    one_topic: bool,
    partitions: int,
    times: Any,
    settings: tuple[str, ...],
    generate: bool,
    rate: float,
    format: str | None,
    as_json: bool,
) -> None:
    """Load recordings into topics, keyed by user; missing topics are created.

    Updates go to the topic of user properties, and timestamps preserve the order of the lines, so that the
    job reads from the topics what it would read from the files. Lines of a --format stay unchanged, for
    topics of that format; a line with several users is keyed by the first.
    """
    from pipeline.decode.formats import Formats
    from pipeline.recording import produce as production
    from pipeline.recording.generated import Generated
    from pipeline.sources.files.recording import Recording
    from pipeline.telemetry import log, screen

    if bool(paths) == generate:
        raise click.UsageError("name recordings to load, or --generate")
    if generate and format is not None:
        raise click.UsageError("--format is for recordings: what --generate makes is in Hookline's own form")
    shape = None if format is None else shape_of(format, config)
    reader: Reader = Generated(rate) if generate else Recording(paths)
    if shape is not None:
        reader.under(Formats(shape))
    log.setup()
    terminal = screen.is_live(sys.stderr)
    told = time.monotonic()

    def progress(done: production.Produced) -> None:
        nonlocal told
        if terminal and time.monotonic() >= told + REPORT_SECS:
            told = time.monotonic()
            screen.show(f"{sum(done.messages.values()):,} messages")

    with stoppable():
        done = production.produce(
            reader,
            brokers,
            events=events,
            users=None if one_topic else users,
            partitions=partitions,
            format=shape,
            times=times,
            settings=parse_settings(settings),
            stopping=requested,
            progress=progress,
        )
    if terminal:
        screen.show("")
    if as_json:
        print_json({"messages": done.messages, "invalid": done.invalid, "created": done.created})
        return
    for topic, number in done.messages.items():
        say(f"{topic}: {counted(number, 'message')}" + (" (new topic)" if topic in done.created else ""))
    if done.invalid:
        say(not_read(done.invalid, events, format))


def not_read(number: int, topic: str, format: str | None) -> str:
    """Return what to say of lines that could not be read: they are written all the same."""
    of = "" if format is None else f" of the shape `{format}`"
    lines, they_are = ("line is no record", "it is") if number == 1 else ("lines are no records", "they are")
    return (
        f"{number:,} {lines}{of}; {they_are} in {topic} as {they_are}. `hookline sniff FILE` says which "
        "shape such lines have, --format NAME reads by it"
    )


def shape_of(name: str, config: Path) -> Shape:
    """Return a built-in shape, or a custom one of a config. Raises UsageError, ConfigError."""
    from pipeline.decode.decode import BY_NAME
    from pipeline.operate.trials.given import formats_for

    return BY_NAME[name] if name in BY_NAME else formats_for(config, name).default


def parse_settings(given: tuple[str, ...]) -> dict[str, str]:
    """Return settings of librdkafka from NAME=VALUE, with secrets in place; raises a usage error."""
    from pipeline.language.secrets import PlaceholderError, Secrets
    from pipeline.model.errors import ConfigError

    settings, secrets = {}, Secrets()
    for text in given:
        name, found, value = text.partition("=")
        if not found:
            raise click.UsageError("--setting wants NAME=VALUE, such as security.protocol=SASL_SSL")
        try:
            settings[name] = secrets.expand(value)
        except PlaceholderError as error:
            raise click.UsageError(f"--setting {name}: {error.message} ({error.hint})") from None
        except ConfigError as error:
            raise click.UsageError(f"--setting {name}: {error}") from None
    return settings
