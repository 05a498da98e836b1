"""The demo behind ``make run``: the shipped recording through the shipped webhooks to a receiver of its own.

``python docs/demo.py [FLAGS OF hookline run]``, from the repository's root. Begins anew each time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from pipeline.cli.output import say

FOLDER = Path(".demo")
SECRET = "whsec_aG9va2xpbmUtZGVtby1zZWNyZXQtMDEyMzQ1Njc4OQ=="
"""The published secret that config/webhooks/big-purchase.yaml signs with where none is given."""
HOOKLINE = (sys.executable, "-m", "pipeline.cli")
STOP_SECS = 10.0


def main(flags: list[str]) -> int:
    """Run the demo and return the job's exit code."""
    shutil.rmtree(FOLDER / "state", ignore_errors=True)
    FOLDER.mkdir(exist_ok=True)
    arrived = FOLDER / "arrived.jsonl"
    with arrived.open("wb") as out:
        secret = os.environ.get("SIGNING_SECRET", SECRET)
        receiver = subprocess.Popen(
            [*HOOKLINE, "receiver", "--listen", "127.0.0.1:0", "--json", "--secret", secret],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        assert receiver.stderr is not None
        url = receiver.stderr.readline().strip().removeprefix("listening on ")
        if not url.startswith("http"):
            say(url or "error: the receiver did not start")
            return 4
        say(f"A receiver listens on {url}; the recording is read, and what its events fire is sent there.")
        command = [*HOOKLINE, "run", "-c", "config", "--state", str(FOLDER / "state"), *flags]
        code = subprocess.run(command, env={**os.environ, "RECEIVER": url}).returncode
    finally:
        receiver.terminate()
        receiver.wait(STOP_SECS)
    tell(arrived)
    return code


def tell(arrived: Path) -> None:
    """Say what the receiver got, with one request of each webhook."""
    paths: dict[str, dict[str, Any]] = {}
    count = signed = 0
    with arrived.open("rb") as lines:
        for line in lines:
            request = orjson.loads(line)
            count += 1
            signed += request["signature"] == "ok"
            paths.setdefault("/".join(request["path"].split("/")[:3]), request)
    say(f"\nThe receiver got {count:,} requests, {signed:,} with a good signature. The first of each kind:")
    for request in paths.values():
        body = request["body"].partition("\n")[0]
        say(f"  {request['method']} {request['path']}  {body if len(body) <= 90 else body[:89] + '…'}")
    say(f"\nAll of them: {arrived}. The accounting: .venv/bin/hookline status --state {FOLDER / 'state'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
