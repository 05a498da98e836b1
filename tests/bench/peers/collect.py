"""What a user would write by hand to collect events: an aiohttp handler over uvloop that appends to a file.

    python -m tests.bench.peers.collect synced|memory PORT FILE

``synced`` syncs the file before each answer; ``memory`` answers at once and writes each tenth of a second:
what it has answered since is lost when it dies. Both check the key, parse with orjson and write a line
per event; neither looks for repeats, corrects a clock or is ever full.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from base64 import b64encode
from pathlib import Path

import orjson
import uvloop
from aiohttp import web

WRITE_SECS = 0.1
KEY = "wk" + 15 * "k7"
"""Of who sends; as long as those that SDKs have."""


async def main(which: str, port: int, path: Path) -> None:
    lines: list[bytes] = []
    keys = (f"Bearer {KEY}", "Basic " + b64encode(f"{KEY}:".encode()).decode())
    with path.open("ab", buffering=0) as file:

        def write() -> None:
            file.write(b"".join(lines))
            lines.clear()

        async def take(request: web.Request) -> web.Response:
            if request.headers.get("authorization") not in keys:
                return web.json_response({"error": "unknown key"}, status=401)
            sent = orjson.loads(await request.read())
            now = int(time.time() * 1000)
            for one in sent.get("batch", [sent]):
                lines.append(orjson.dumps({"time": now, "value": one}) + b"\n")
            if which == "synced":
                write()
                os.fdatasync(file.fileno())
            return web.json_response({"success": True})

        app = web.Application(client_max_size=20 << 20)
        app.router.add_post("/v1/events", take)
        app.router.add_post("/v1/batch", take)
        app.router.add_get("/readyz", lambda _: asyncio.sleep(0, web.Response()))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        while not stopped.is_set():
            write()
            try:
                await asyncio.wait_for(stopped.wait(), WRITE_SECS)
            except TimeoutError:
                pass
        await runner.cleanup()


if __name__ == "__main__":
    kind, number, name = sys.argv[1:]
    uvloop.run(main(kind, int(number), Path(name)))
