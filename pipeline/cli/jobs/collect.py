"""``hookline collect``: events over HTTP, from the config to the summary."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.kinds import Place
from pipeline.cli.options import config_option, fields_of, log_options, metrics_option, setting, taken
from pipeline.cli.output import echo, json_option, print_json, print_json_lines, print_text
from pipeline.model.process.exits import Exit
from pipeline.model.words import counted

if TYPE_CHECKING:
    from pipeline.collect.figures import Figures
    from pipeline.config.models.installation.collect import CollectSection

_MOST_NAMES = 20


@click.command()
@config_option
@setting("--listen", "collect.listen", metavar="ADDRESS", help="PORT or HOST:PORT.")
@setting(
    "--to",
    "collect.to",
    env="HOOKLINE_COLLECT_TO_RECORDING",
    type=Place(file_okay=False),
    callback=lambda context, parameter, folder: folder and {"recording": str(folder)},
    metavar="DIR",
    help="Directory to store the events in.",
)
@log_options
@metrics_option(
    "Serve /metrics and /healthz on PORT or HOST:PORT; names and HOOKLINE_METRICS_TOKEN as for "
    "`hookline run`."
)
@click.option("--member", hidden=True, help="Given by `hookline up`.")
@json_option
def collect(config: Path, metrics: str | None, member: str | None, as_json: bool, **given: Any) -> int:
    """Accept events over HTTP, as configured by `collect` in pipeline.yaml, until SIGTERM or Ctrl-C.

    Unmodified SDKs of Segment, RudderStack, PostHog and Heap can post to it, and curl to /v1/events. A
    success response means that the whole request is on disk. `hookline run -c` with the same config reads it.
    """
    from pipeline.config.job import load_pipeline
    from pipeline.runtime.background.progress import ShownStatus, StatusLine
    from pipeline.runtime.collector import Pulse, look, place_of, render, run_collector, section_of
    from pipeline.telemetry import log

    report = load_pipeline(config, flags=fields_of(given), collects=True)
    job_config = taken(report, quiet=member is not None)
    section = section_of(job_config, config)
    line: StatusLine | None = None
    pulse = Pulse()
    said = log.get("collect")

    def tell_status(facts: dict[str, int]) -> None:
        if pulse.is_felt:  # silent where it hangs: whoever looks after it starts it anew
            print_json_lines([{"status": facts}])

    def listening(address: tuple[str, int]) -> None:
        nonlocal line
        url = url_of(address)
        said.info("listening", url=url, to=place_of(section), keys=", ".join(names_of(section)))
        if member is not None:
            print_json_lines([{"try": example(url, section)}])
            line = StatusLine(look(), tell_status, 0.5)
            return
        if sys.stderr.isatty():
            echo(to_try(example(url, section)), err=True)  # to be copied: not broken
        line = ShownStatus(look(), render, said, idle=False)

    try:
        figures = run_collector(
            job_config, config, listening=listening, views=metrics, stopping=pulse.stopping
        )
    finally:
        if line is not None:
            line.stop()
    show(figures, as_json, member is not None)
    return Exit.OK


def url_of(address: tuple[str, int]) -> str:
    """Return where an SDK posts to, on this machine where it listens everywhere."""
    host, port = address
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def names_of(section: CollectSection) -> list[str]:
    """Return the names of keys and webhooks, the first of many; never a key."""
    keys = ["any"] if section.keys == "any" else list(section.keys or ())
    names = keys + [f"hooks/{name}" for name in section.hooks]
    rest = len(names) - _MOST_NAMES
    return names if rest <= 0 else [*names[:_MOST_NAMES], f"and {rest:,} more"]


def example(url: str, section: CollectSection) -> str:
    """Return a command that sends an event; where only webhooks come in, the address for one of them."""
    if section.keys is None:
        return f"send webhooks to {url}/hooks/{next(iter(section.hooks))}"
    key = "" if section.keys == "any" else " -H 'authorization: Bearer KEY'"
    return f"""curl {url}/v1/events{key} -d '{{"name":"Hello","user_id":"u1"}}'"""


def to_try(command: str) -> str:
    """Return what a person is told who has just started it."""
    return f"try: {command}\n     (the lines for SDKs: docs/collect.md; Ctrl-C ends)"


def show(figures: Figures, as_json: bool, is_member: bool) -> None:
    """Print what was taken."""
    if is_member:
        print_json_lines([asdict(figures)])
    elif as_json:
        print_json(asdict(figures))
    else:
        print_text(summary(asdict(figures)))


def summary(figures: dict[str, int]) -> str:
    """Return the line that says what was taken."""
    repeats = f" ({figures['repeats']:,} of them repeats)" if figures["repeats"] else ""
    refused = f", {figures['refused']:,} refused" if figures["refused"] else ""
    requests = counted(figures["requests"], "request")
    return f"collected {counted(figures['members'], 'record')} in {requests}{repeats}{refused}"
