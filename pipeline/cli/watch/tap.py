"""``hookline tap``: what a running job reads and sends, as it happens."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.kinds import RATE, SPAN, Place
from pipeline.cli.options import config_option, console_options, state_dir, state_option
from pipeline.cli.output import json_option, say
from pipeline.cli.page.lines import room

if TYPE_CHECKING:
    from pipeline.operate.tap.filters import Filters
    from pipeline.operate.tap.follow import Followed
    from pipeline.operate.tap.recording import TapRecording
    from pipeline.operate.tap.remote import RemoteTap

USUAL = "matched,sent,dead"


@click.command()
@config_option
@state_option
@console_options
@click.option(
    "--stage",
    "stages",
    metavar="S,..",
    help="read, invalid, skipped (no webhook's conditions on the event hold), unmatched (one names the event "
    f"and a condition fails), suppressed, matched, sent, dead.  [default: {USUAL}]",
)
@click.option("--webhook", "webhooks", multiple=True, metavar="GLOB", help="Of this webhook; several times.")
@click.option("--event", "events", multiple=True, metavar="GLOB", help="Of events of this name.")
@click.option("--user", metavar="ID", help="Of this user or anonymous id.")
@click.option("--id", "message", metavar="MSG", help="The request with this webhook-id.")
@click.option(
    "--where",
    metavar="CONDITION",
    help="As in a trigger: 'event.properties.amount: {gte: 100}'. What is known of users is asked from "
    "unmatched on.",
)
@click.option("--status", "statuses", metavar="S,..", help="Attempts with this response: 503, 5xx, timeout.")
@click.option("--outcome", "outcomes", metavar="O,..", help="delivered, retry, dead.")
@click.option("--why", is_flag=True, help="Name the clause that does not hold; alone: of what is unmatched.")
@click.option("--rate", type=RATE, default="100/s", metavar="N/s", help="Show at most this many lines.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="Stop after this many lines.")
@click.option("--for", "span", type=SPAN, metavar="TIME", help="Stop after this time: 30s, 5m.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["line", "json", "yaml", "curl"]),
    show_default=False,
    help="By default line on a terminal, json elsewhere.",
)
@click.option("--full", is_flag=True, help="Values in full length; with lines the payload, too.")
@click.option("--no-payload", is_flag=True, help="No properties, requests or users' data.")
@click.option("--record", type=Place(), metavar="FILE", help="Record the events to NAME.rec.jsonl.")
@click.option("--as-test", is_flag=True, help="Print cases for the webhook's NAME.test.yaml.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing about the tap itself.")
@click.option("--no-reconnect", is_flag=True, help="End when the job ends.")
@json_option
def tap(
    config: Path,
    state: Path | None,
    url: str | None,
    token_file: Path | None,
    stages: str | None,
    webhooks: tuple[str, ...],
    statuses: str | None,
    outcomes: str | None,
    rate: float,
    count: int | None,
    span: float | None,
    form: str | None,
    full: bool,
    no_payload: bool,
    record: Path | None,
    as_test: bool,
    quiet: bool,
    no_reconnect: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """Watch the running job: events, matches, requests and their responses.

    If there are too many lines, some are dropped and counted. The job is neither slowed nor changed, and the
    tap survives reloads and restarts of it. Secrets are shown as `${NAME}`.
    """
    from pipeline.operate.tap.filters import Filters, usual_stages, words
    from pipeline.operate.tap.recording import TapRecording

    if as_test:
        _check_as_test(webhooks)
    exact = full or as_test or record is not None or form == "curl"
    if exact and no_payload:
        raise click.UsageError("--no-payload shows no payload: leave out one of the two")
    answers = bool(statuses or outcomes)
    if stages is None and not filters["why"] and (as_test or (form == "curl" and not answers)):
        stages = "matched"
    usual = usual_stages(why=filters["why"], answers=answers)
    wanted = Filters(
        stages=usual if stages is None else words(stages),
        webhooks=webhooks,
        statuses=words(statuses or ""),
        outcomes=words(outcomes or ""),
        payload="none" if no_payload else "full" if exact else "short",
        rate=max(1, round(rate)),
        **filters,
    )
    form = "json" if as_json else form or ("line" if sys.stdout.isatty() else "json")
    followed = _followed(config, state, url, token_file, wanted, reconnect=not no_reconnect)
    write = _writer(form, full=full, as_test=as_test)
    with nullcontext() if record is None else closing(TapRecording(record)) as recording:
        try:
            _show(followed, write, recording, quiet=quiet, count=count, span=span)
        except KeyboardInterrupt:
            pass  # that is how it ends
    if recording is not None:
        how = f"`hookline replay {quote(str(record))}` takes them"
        say(f"[tap] {recording.events:,} records in {record}: {how}")


def _followed(
    config: Path,
    state: Path | None,
    url: str | None,
    token_file: Path | None,
    wanted: Filters,
    *,
    reconnect: bool,
) -> Followed | RemoteTap:
    """Return the tap of the job that is meant: here, or behind a console."""
    if url is None:
        from pipeline.operate.tap.follow import Followed

        return Followed(state_dir(config, state), wanted.arguments(), reconnect=reconnect)
    from pipeline.operate.running.remote import RemoteConsole
    from pipeline.operate.tap.remote import RemoteTap

    return RemoteTap(RemoteConsole(url, token_file), wanted, reconnect=reconnect)


def _check_as_test(webhooks: tuple[str, ...]) -> None:
    if len(webhooks) != 1 or any(sign in webhooks[0] for sign in "*?["):
        raise click.UsageError("a test is of one webhook: --as-test wants --webhook ID")


def _writer(form: str, *, full: bool, as_test: bool) -> Callable[[dict[str, Any]], str]:
    """Return what makes a text of a line; "" for one that is not shown."""
    from pipeline.cli.watch.tap_lines import FORMATS, text_line

    if as_test:
        from pipeline.operate.cases.seen import as_yaml, case_of

        begun: list[str] = []

        def as_case(line: dict[str, Any]) -> str:
            case = case_of(line)
            if case is None:
                return ""
            head = "" if begun else "cases:\n"
            begun.append(head)
            return head + as_yaml(case).rstrip("\n")

        return as_case
    if form != "line":
        return FORMATS[form]
    return lambda line: text_line(line, room(sys.stdout), full=full)  # it may be resized


def _show(
    followed: Followed | RemoteTap,
    write: Callable[[dict[str, Any]], str],
    recording: TapRecording | None,
    *,
    quiet: bool,
    count: int | None,
    span: float | None,
) -> None:
    from pipeline.operate.tap.follow import Notice

    ends = None if span is None else time.monotonic() + span
    number = 0
    for one in followed:
        if isinstance(one, Notice):
            if not quiet:
                say(f"[tap] {one.text}")
        elif one is not None:
            if recording is not None:
                recording.add(one)
            if text := write(one):
                click.echo(text)
                number += 1
            if number == count:
                return
        if one is None and _nobody_reads():
            raise BrokenPipeError
        if ends is not None and time.monotonic() >= ends:
            return


def _nobody_reads() -> bool:
    """Return whether the reader of our output is gone: a tap that waits would not notice."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(found & select.POLLERR for _, found in poll.poll(0))
    except (OSError, ValueError):  # no file at all: in a test, in another program
        return False
