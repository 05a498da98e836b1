"""``hookline demo --console``: the shop runs until it is stopped, with a console over its webhooks.

Everything is in one folder and begins anew each time: what is edited there changes no shipped file.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.cli.jobs.beside import started
from pipeline.cli.output import say
from pipeline.model.process.lifeline import Lifeline
from pipeline.model.process.stop import HEAR_SECS
from pipeline.operate.starting.shipped import demo_stream, shipped_config

AT_ONCE = 6_000
"""Records of the shop that are there at the beginning; the rest comes `PER_SEC` a second."""
PER_SEC = 10.0
ANSWERS = {
    "/hooks/plan-changed": [503, 200, 503, 503, 200],
    "/hooks/pricing-interest": [200, 200, 422, 200, 410],
    "*": [200],
}
"""Receivers are not always well: what becomes of that is to be seen, too."""


def serve(folder: Path, flags: Sequence[str]) -> None:
    """Run the demo until Ctrl-C; flags: of `hookline console`."""
    with running(folder, flags) as link:
        say(f"The console, good for one log-in in the next 15 minutes: {link}")
        say(f"It edits the files in {folder / 'config'}; Ctrl-C ends everything.")
        told = 1
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(HEAR_SECS)
                for another in _links(folder / "console.log")[told:]:
                    told += 1
                    say(f"For another log-in: {another}")


@contextlib.contextmanager
def running(
    folder: Path, flags: Sequence[str], *, config: Path | None = None, per_sec: float = PER_SEC
) -> Iterator[str]:
    """Give the link that logs in; everything that was started is gone at the end, also where this process is
    killed. config: copied, too.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(config or shipped_config(), folder / "config")
    (folder / "answers.json").write_text(json.dumps(ANSWERS))
    stream, ended = folder / "stream.jsonl", threading.Event()
    with gzip.open(demo_stream(), "rb") as shop:
        lines = shop.readlines()
    stream.write_bytes(b"".join(lines[:AT_ONCE]))
    state = ["-c", str(folder / "config"), "--state", str(folder / "state")]
    with contextlib.ExitStack() as stack:
        lifeline = Lifeline()
        stack.callback(lifeline.close)
        words = ["--listen", "127.0.0.1:0", "--quiet", "--script", str(folder / "answers.json")]
        log = folder / "receiver.log"
        url = stack.enter_context(
            started("receiver", *words, log=log, lifeline=lifeline, until="listening on ")
        )
        told = {"RECEIVER": url}
        words = [*state, "--source", str(stream), "--follow", "--log-level", "warning"]
        log = folder / "job.log"
        stack.enter_context(started("run", *words, log=log, lifeline=lifeline, variables=told))
        shop_goes_on = threading.Thread(target=_feed, args=(stream, lines[AT_ONCE:], per_sec, ended))
        stack.callback(shop_goes_on.join)
        stack.callback(ended.set)
        shop_goes_on.start()
        log, words = folder / "console.log", [*state, *flags]
        yield "http" + stack.enter_context(
            started("console", *words, log=log, lifeline=lifeline, variables=told, until="http")
        )


def _feed(stream: Path, lines: list[bytes], per_sec: float, ended: threading.Event) -> None:
    with stream.open("ab", buffering=0) as file:
        for line in lines:
            if ended.wait(1 / per_sec):
                return
            file.write(line)


def _links(log: Path) -> list[str]:
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if line.startswith("http") and "/login#" in line]
