"""syslog-ng (C) as a peer: read, parse, filter, template, POST; no join, no guarantee.

    python -m tests.bench.peers.syslog_ng STREAM URL REQUESTS

It follows files and never ends by itself, so it is stopped when it has sent what the stream holds; CPU of the
waiting is counted with it and is negligible. Its config is SYSLOG_NG in ../streams/servers.py, with the
best settings found (README.md). Without `flow-control` it reads faster than it sends, and drops what its
queue cannot hold.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.streams.servers import SYSLOG_BODY, SYSLOG_NG, syslog_ng


def counted(control: Path, what: str) -> int:
    """Return how many messages the destination has written or dropped, by its own statistics."""
    ctl = Path(syslog_ng() or "").with_name("syslog-ng-ctl")
    answer = subprocess.run([ctl, "stats", f"--control={control}"], capture_output=True, text=True).stdout
    fields = [line.split(";") for line in answer.splitlines()]
    return sum(int(row[5]) for row in fields if row[0].startswith("dst.http") and row[4] == what)


def main(stream: str, url: str, requests: int) -> None:
    """Run it until all requests are written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "syslog-ng.conf"
        config.write_text(SYSLOG_NG.format(stream=stream, url=url, body=SYSLOG_BODY))
        control = folder / "control"
        process = subprocess.Popen(
            [
                syslog_ng() or "",
                "-F",
                "-f",
                config,
                "-R",
                folder / "persist",
                "-c",
                control,
                "-p",
                folder / "pid",
            ]
        )
        try:
            while counted(control, "written") < requests:
                if counted(control, "dropped"):
                    raise SystemExit("syslog-ng drops messages: its figures would be those of another job")
                if process.poll() is not None:
                    raise SystemExit(f"syslog-ng ended with {process.returncode}")
                time.sleep(0.1)
        finally:
            process.terminate()
            process.wait(20)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
