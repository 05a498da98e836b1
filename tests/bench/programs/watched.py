"""A job that is looked at beside one that is not: the console is open, its page Live shows 100 rows a second.

    python -m tests.bench.programs.watched CONFIG STATE    looks at the job there, until it is ended

The onlookers are processes of their own. Their CPU is not the job's, but they share the machine with it.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from tests.bench.measure import Candidate, Run
from tests.kit.streams.samples import ROOT

HOOKLINE = (sys.executable, "-m", "pipeline.cli")
OVERVIEW_SECS = 2.0
"""How often the first page is asked for again: by somebody who reloads and reloads."""


def watched(name: str, of: Candidate, config: Path) -> Candidate:
    """Return the candidate as another one that is looked at while it runs."""
    looking = contextlib.ExitStack()

    def before() -> None:
        of.before()
        looking.enter_context(onlookers(config, config / "state"))

    def read(output: str, run: Run) -> Run:
        looking.close()
        return run

    return Candidate(name, of.command, of.units, before=before, watch=of.watch, read=read)


@contextlib.contextmanager
def onlookers(config: Path, state: Path) -> Iterator[None]:
    """Look at the job that runs there, or will run, until the end."""
    words = [sys.executable, "-m", "tests.bench.programs.watched", str(config), str(state)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != "looking":
            raise RuntimeError("the onlookers did not start")
        yield
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def look(config: Path, state: Path) -> None:
    """Open the console, its page Live, and its first page again and again, until SIGTERM."""
    flags = ["--listen", "127.0.0.1:0", "--audit", str(config.parent / "audit.jsonl")]
    words = [*HOOKLINE, "console", "-c", str(config), "--state", str(state), *flags]
    console = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        assert console.stdout is not None
        base, _, token = console.stdout.readline().strip().partition("/login#token=")
        cookie = _log_in(base, token)
        for read in (_read_live, _reload):
            threading.Thread(target=read, args=(base, cookie), daemon=True).start()
        print("looking", flush=True)
        ended.wait()
    finally:
        console.kill()
        console.wait()


def _log_in(base: str, token: str) -> str:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: Any) -> None:
            """Follow nothing: the cookie is in the first answer."""

    form = urllib.parse.urlencode({"token": token}).encode()
    try:
        urllib.request.build_opener(Stay).open(f"{base}/login", form)
    except urllib.error.HTTPError as answer:
        return str(answer.headers["set-cookie"]).partition(";")[0]
    raise RuntimeError("the console let nobody in")


def _open(base: str, cookie: str, path: str, accept: str) -> IO[bytes]:
    asked = urllib.request.Request(base + path, headers={"cookie": cookie, "accept": accept})
    opened: IO[bytes] = urllib.request.urlopen(asked, timeout=60)
    return opened


def _read_live(base: str, cookie: str) -> None:
    ended = (OSError, HTTPException)
    with contextlib.suppress(*ended), _open(base, cookie, "/live/rows", "text/event-stream") as rows:
        while rows.read1(1 << 16):  # type: ignore[attr-defined]  # an HTTPResponse
            pass


def _reload(base: str, cookie: str) -> None:
    with contextlib.suppress(OSError, HTTPException):
        while True:
            with _open(base, cookie, "/", "text/html") as page:
                page.read()
            time.sleep(OVERVIEW_SECS)


if __name__ == "__main__":
    look(Path(sys.argv[1]), Path(sys.argv[2]))
