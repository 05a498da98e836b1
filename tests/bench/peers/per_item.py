"""The naive dataflow: per-item Bytewax with aiohttp's ClientSession.post, a batch of posts per write.

python -m tests.bench.peers.per_item STREAM URL

One process and one worker, as the others. Its settings are the best found: see BATCH, and README.md.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import aiohttp
import bytewax.operators as op
import orjson
import uvloop
from bytewax.connectors.files import FileSource
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

stream, url = sys.argv[1:]

BATCH = 10
"""Lines per batch, so about the requests under way: 100 us CPU per POST, 115 to 130 with 100 and 1000."""


class Posts(StatelessSinkPartition[tuple[str, bytes]]):
    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self.session: aiohttp.ClientSession | None = None

    def write_batch(self, items: list[tuple[str, bytes]]) -> None:
        self.loop.run_until_complete(self.post_all([body for _, body in items]))

    async def post_all(self, bodies: list[bytes]) -> None:
        if self.session is None:
            self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64))
        await asyncio.gather(*map(self.post, bodies))

    async def post(self, body: bytes) -> None:
        assert self.session is not None
        async with self.session.post(
            url, data=body, headers={"content-type": "application/json"}
        ) as response:
            await response.read()

    def close(self) -> None:
        if self.session is not None:
            self.loop.run_until_complete(self.session.close())


class Sink(DynamicSink[tuple[str, bytes]]):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> Posts:
        return Posts()


def join(user: dict[str, Any] | None, record: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
    user = user or {}
    if record["type"] == "user":
        user.update(record["set"])
        return user, None
    if record["name"] != "Purchase":
        return user, None
    amount = record["properties"].get("amount")
    return user, orjson.dumps({"user": record["user_id"], "plan": user.get("plan"), "amount": amount})


flow = Dataflow("naive")
lines = op.input("lines", flow, FileSource(stream, batch_size=BATCH))
records = op.map("parse", lines, orjson.loads)
keyed = op.key_on("key", records, lambda record: record["user_id"])
bodies = op.stateful_map("join", keyed, join)
fired: KeyedStream[Any] = op.filter("fired", bodies, lambda item: item[1] is not None)
op.output("post", fired, Sink())
run_main(flow)
