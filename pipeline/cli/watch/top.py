"""``hookline top``: a live table of the webhooks of a running job."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import click

from pipeline.cli.kinds import SPAN
from pipeline.cli.options import config_option, console_options, state_dir, state_option
from pipeline.cli.output import echo, json_option, print_json_lines
from pipeline.model.errors import HooklineError, Refused
from pipeline.model.printable import one_line
from pipeline.model.words import meant_or
from pipeline.telemetry.screen import is_live

if TYPE_CHECKING:
    from pipeline.cli.watch.top_view import Act, View
    from pipeline.operate.running.top import Top, TopTable

PLAIN_WIDTH = 120
"""Columns of a plain table where no terminal says how many there are."""
REDRAW_SECS = 0.25
LEAST_SECS = 0.1


@click.command()
@config_option
@state_option
@console_options
@click.option("--interval", type=SPAN, default="1s", metavar="TIME", help="Time between refreshes.")
@click.option("--webhook", "webhooks", multiple=True, metavar="GLOB", help="Only these; several times.")
@click.option(
    "--sort", default="id", metavar="COL", help="id, state, delivered, pending, dead, retry, p99, .."
)
@click.option("--desc", is_flag=True, help="Reverse the order; numbers begin with the largest by default.")
@click.option("--filter", "text", metavar="TEXT", help="Only those whose name, state or error contains this.")
@click.option("--once", is_flag=True, help="Print one plain table; the default if stdout is not a terminal.")
@json_option
def top(
    config: Path,
    state: Path | None,
    url: str | None,
    token_file: Path | None,
    interval: float,
    webhooks: tuple[str, ...],
    sort: str,
    desc: bool,
    text: str | None,
    once: bool,
    as_json: bool,
) -> int | None:
    """Show the webhooks of the running job: rates, pending deliveries, failing receivers.

    On a terminal the table is live: arrows move, s sorts, / filters, enter shows all details, p pauses, t
    taps, ? lists all keys, q quits. With --json each refresh is one object on a line.
    """
    from pipeline.cli.watch.top_rows import BY_NAME
    from pipeline.cli.watch.top_view import View

    if sort not in BY_NAME:
        hint = meant_or(sort, BY_NAME, f"there are {', '.join(BY_NAME)}")
        raise click.UsageError(f"there is no column `{sort}`: {hint}")
    job = here(state_dir(config, state), webhooks) if url is None else afar(url, token_file, webhooks)
    view = View(sort=sort, reverse=desc, filter=text or "")
    interval = max(LEAST_SECS, interval)
    first = job.top.look()
    if as_json:
        _as_json(job.top, first, interval, once=once)
    elif once or not (sys.stdin.isatty() and is_live(sys.stdout)):
        _plain(view, first)
    else:
        return _live(job, first, view, interval)
    return None


def _as_json(looked: Top, first: TopTable, interval: float, *, once: bool) -> None:
    print_json_lines([first.to_json()])
    try:
        while not once:
            time.sleep(interval)
            print_json_lines([looked.look().to_json()])
    except KeyboardInterrupt:
        pass  # that is how it ends


def _plain(view: View, table: TopTable) -> None:
    """Print the whole table as it is now."""
    import shutil

    from pipeline.cli.page.colours import RED, YELLOW
    from pipeline.cli.watch.top_rows import fitting, head_lines, longest_id, row_line, title_line

    rows = view.rows(table)
    width, ids = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns, longest_id(rows)
    if not sys.stdout.isatty():  # a program looks for the ids
        width = max(width, 3 * ids)
    columns = fitting(width, ids)
    for line in head_lines(table.head):
        echo(line.removeprefix(RED).removeprefix(YELLOW))
    echo()
    echo(title_line(columns, width).rstrip())
    for row in rows:
        echo(row_line(columns, row, width).rstrip())


class WatchedJob(NamedTuple):
    """The job that is looked at."""

    top: Top
    order: Callable[[str, str], object]
    """Pauses or resumes a webhook: the order, then its id. Raises HooklineError."""
    flags: list[str]
    """By which another verb finds the same job."""


def here(state: Path, webhooks: tuple[str, ...]) -> WatchedJob:
    """Return the job of a state directory of this machine."""
    from pipeline.admin.socket_client import ask
    from pipeline.operate.running.top import Top

    def order(order: str, webhook: str) -> None:
        for refused in ask(state, "webhook-order", order=order, webhooks=[webhook]):
            if refused:
                raise Refused(refused[webhook])

    return WatchedJob(Top(state, webhooks), order, ["--state", str(state)])


def afar(url: str, token_file: Path | None, webhooks: tuple[str, ...]) -> WatchedJob:
    """Return the job behind a console."""
    from pipeline.operate.running.remote import RemoteConsole
    from pipeline.operate.running.top import afar

    console = RemoteConsole(url, token_file)
    flags = ["--url", url, *(["--token-file", str(token_file)] if token_file else [])]

    def order(order: str, webhook: str) -> None:
        console.post(f"/api/v1/webhooks/{quote(webhook, safe='')}/{order}")

    return WatchedJob(afar(console, webhooks), order, flags)


class Looking:
    """Looks again and again in a thread of its own: a job that does not answer must not hold up a key."""

    def __init__(self, looked: Top, first: TopTable, interval: float) -> None:
        self.table = first
        self.note = ""
        """What is wrong, "" where nothing is."""
        self._looked = looked
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="top", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                self.table, self.note = self._looked.look(), ""
            except HooklineError as error:
                self.note = f"{one_line(str(error))}; waiting"


def _live(job: WatchedJob, first: TopTable, view: View, interval: float) -> int | None:
    """Show the table until a key or a signal ends it; return the exit code."""
    from pipeline.cli.terminal import EndedBySignal, Terminal

    terminal, looking = Terminal(), Looking(job.top, first, interval)
    try:
        with terminal.taken():
            while True:
                terminal.show(view.frame(looking.table, *terminal.size(), looking.note))
                for key in terminal.keys(min(interval, REDRAW_SECS)):
                    act = view.press(key)
                    if act is None:
                        continue
                    if act.what == "quit":
                        return None
                    if act.what == "tap":
                        with terminal.lent():
                            _tap(job, act.webhook)
                    else:
                        order(job, act, view)
    except KeyboardInterrupt:
        return None
    except EndedBySignal as ended:
        return 128 + ended.number
    finally:
        looking.stop()


def _tap(job: WatchedJob, webhook: str) -> None:
    words = [sys.executable, "-m", "pipeline.cli", "tap", *job.flags, "--webhook", webhook]
    subprocess.run(words, check=False)


def order(job: WatchedJob, act: Act, view: View) -> None:
    """Pause or resume a webhook, and say what came of it."""
    try:
        job.order(act.what, act.webhook)
        view.message = f"{act.webhook}: {'paused' if act.what == 'pause' else 'active'} now"
    except HooklineError as error:
        view.message = one_line(str(error))
