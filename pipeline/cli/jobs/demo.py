"""``hookline demo``: a recorded shop fires webhooks at a receiver on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from pipeline.cli.jobs.beside import HOOKLINE, started
from pipeline.cli.kinds import Place
from pipeline.cli.output import say
from pipeline.cli.page.lines import room, short
from pipeline.model.errors import UsageError
from pipeline.model.process.exits import Exit
from pipeline.model.process.lifeline import Lifeline
from pipeline.model.process.stop import kept_back
from pipeline.model.words import counted

SECRET = "whsec_aG9va2xpbmUtZGVtby1zZWNyZXQtMDEyMzQ1Njc4OQ=="
"""The published secret that config/webhooks/big-purchase.yaml signs with where none is given."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--folder",
    type=Place(file_okay=False),
    default=".demo",
    help="Where requests and state are stored; recreated each time.",
)
@click.option(
    "--console",
    "shows",
    is_flag=True,
    help="The same in a browser: the shop goes on, and you see what fires, why, and change it; until Ctrl-C. "
    "Flags are those of `hookline console`.",
)
@click.argument("flags", nargs=-1, metavar="[FLAGS OF `hookline run`]")
def demo(folder: Path, shows: bool, flags: tuple[str, ...]) -> int:
    """Run the recorded stream of a shop through five webhooks to a local receiver, and show what arrived.

    Needs no other service and sends nothing elsewhere. Starts from scratch each time.
    """
    from pipeline.admin.socket_client import NotRunning, ask
    from pipeline.operate.starting.shipped import demo_config

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made here ({error.strerror}): go to a folder of yours, or say --folder DIR"
        ) from error
    with contextlib.suppress(NotRunning):
        ask(folder / "console/state" if shows else folder / "state", "status")
        raise UsageError(f"a demo is running in {folder}: end it first, or say --folder DIR")
    if shows:
        from pipeline.cli.jobs.demo_console import serve

        serve(folder / "console", flags)
        return 0
    shutil.rmtree(folder / "state", ignore_errors=True)
    config = demo_config(folder)
    arrived = folder / "arrived.jsonl"
    words = ["--listen", "127.0.0.1:0", "--json", "--secret", os.environ.get("SIGNING_SECRET", SECRET)]
    log, lifeline = folder / "receiver.log", Lifeline()  # all end with us, however we end
    with (
        contextlib.closing(lifeline),
        started("receiver", *words, log=log, lifeline=lifeline, data=arrived, until="listening on ") as url,
    ):
        say(f"A receiver listens on {url}; the recording is read, and what its events fire is sent there.")
        command = [*HOOKLINE, "run", "-c", str(config), "--state", str(folder / "state"), *flags]
        environment = {**os.environ, "RECEIVER": url}
        lifeline.tie(environment)
        with kept_back():
            job = subprocess.Popen(command, env=environment, pass_fds=lifeline.descriptors)
        with job:
            try:
                code = job.wait()
            except BaseException:
                job.kill()
                raise
    if code == Exit.USAGE:
        return code
    tell(arrived)
    say("")
    for what, where in (
        ("all that arrived", arrived),
        ("the webhooks", config / "webhooks"),
        ("the accounting", f"{called()} status --state {folder / 'state'}"),
    ):
        say(f"{what:<16}  {where}")
    return code


def called() -> str:
    """Return how a person calls this command: where none is in reach, by the path of the checkout's own."""
    own = Path(".venv/bin/hookline")
    return str(own) if shutil.which("hookline") is None and own.exists() else "hookline"


def tell(arrived: Path) -> None:
    """Say what the receiver got, with one request of each webhook."""
    import orjson

    paths: dict[str, dict[str, Any]] = {}
    count = signed = 0
    with arrived.open("rb") as lines:
        for line in lines:
            request = orjson.loads(line)
            count += 1
            signed += request["signature"] == "ok"
            paths.setdefault("/".join(request["path"].split("/")[:3]), request)
    say(
        f"\nThe receiver got {counted(count, 'request')} (some of many deliveries), {signed:,} with a good "
        "signature. The first of each kind:"
    )
    for request in paths.values():
        body = request["body"].partition("\n")[0]
        say(short(f"  {request['method']} {request['path']}  {body}", room(sys.stderr) or 120))
