"""The HTTP client alone: how much CPU the sending side takes per POST, beside other clients.

    python -m tests.bench.alone.http_clients native|aiohttp URL POSTS

``native`` is the client of the job with its slots and signature, without engine, journal and flow;
``aiohttp`` is `ClientSession.post` over uvloop, unsigned. Each keeps 64 requests under way and prints what it
took.
`make bench ARGS="--only client"` runs them in turn with `wrk` (C, an event loop) and `hey` (Go, net/http),
64 connections each, one thread for wrk; the receiver's CPU is not counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp
import uvloop

from tests.bench.alone.bench_deliver import delivery, nowhere, post_all
from tests.bench.measure import Candidate, Run, left_out

OURS = "hookline's client, signed"
CONNECTIONS = 64
BODY = b'{"user":"u-123456","plan":"pro","amount":149.95}'
WRK = """
wrk.method = "POST"
wrk.body = '{body}'
wrk.headers["content-type"] = "application/json"
"""


async def native(url: str, posts: int) -> None:
    """Send the POSTs through the job's client."""
    now = int(time.time() * 1000)
    meeting = nowhere()
    made = (delivery(meeting, n, url, BODY, now) for n in range(posts))
    await post_all(made, posts, CONNECTIONS)


async def session(url: str, posts: int) -> None:
    """Send the POSTs through `ClientSession.post`."""
    left = iter(range(posts))
    headers = {"content-type": "application/json"}
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as one, asyncio.TaskGroup() as tasks:

        async def sender() -> None:
            for _ in left:
                async with one.post(url, data=BODY, headers=headers) as response:
                    await response.read()

        for _ in range(CONNECTIONS):
            tasks.create_task(sender())


def candidates(origin: str, posts: int, folder: Path) -> list[Candidate]:
    """Return the clients that can be had here, ours first."""
    url = f"{origin}/hooks/w0"
    script = [sys.executable, "-m", "tests.bench.alone.http_clients"]
    few = posts // 4
    found = [
        Candidate(OURS, [*script, "native", url, str(posts)], posts, read=of_itself),
        Candidate("aiohttp ClientSession.post", [*script, "aiohttp", url, str(few)], few, read=of_itself),
    ]
    wrk, hey = shutil.which("wrk"), shutil.which("hey", path=search_path())
    if wrk:
        lua = folder / "post.lua"
        lua.write_text(WRK.format(body=BODY.decode()))
        secs = max(1, posts // 50_000)
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{secs}s", "-s", str(lua), url]
        found.append(Candidate("wrk, one thread", command, 1, read=of_wrk))
    else:
        left_out("wrk is not installed (Debian: wrk)")
    if hey:
        few = max(few - few % CONNECTIONS, CONNECTIONS)
        command = [hey, "-n", str(few), "-c", str(CONNECTIONS), "-m", "POST", "-T", "application/json"]
        found.append(Candidate("hey (Go net/http)", [*command, "-d", BODY.decode(), url], few, read=of_hey))
    else:
        left_out("hey is not installed (go install github.com/rakyll/hey@latest)")
    return found


def search_path() -> str:
    """Return where programs are looked for: PATH, and where `go install` puts them."""
    return f"{os.environ.get('PATH', '')}:{Path.home() / 'go' / 'bin'}"


def of_itself(output: str, run: Run) -> Run:
    """Take what the script measured: its start, half a second of imports, is not the client's cost."""
    told = json.loads(output.splitlines()[-1])
    return replace(run, cpu_secs=told["cpu_secs"], wall_secs=told["wall_secs"])


def of_wrk(output: str, run: Run) -> Run:
    """Take how many requests wrk has made in its time."""
    found = re.search(r"(\d+) requests in ([\d.]+)s", output)
    if found is None or "Non-2xx" in output:
        raise RuntimeError(f"wrk says\n{output}")
    return replace(run, units=int(found[1]), wall_secs=float(found[2]))


def of_hey(output: str, run: Run) -> Run:
    """Make sure that every request of hey was answered."""
    if f"[200]\t{run.units} responses" not in output:
        raise RuntimeError(f"hey says\n{output}")
    return run


def main(arguments: Sequence[str]) -> None:
    """Send, and print the CPU and wall seconds that it took."""
    which, url, posts = arguments
    cpu, begun = time.process_time(), time.perf_counter()
    uvloop.run({"native": native, "aiohttp": session}[which](url, int(posts)))
    taken = {"cpu_secs": time.process_time() - cpu, "wall_secs": time.perf_counter() - begun}
    print(json.dumps(taken))


if __name__ == "__main__":
    main(sys.argv[1:])
