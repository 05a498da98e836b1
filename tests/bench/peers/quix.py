"""Quix Streams as a peer: the same join from two topics with durable state, signed POSTs.

    python tests/bench/peers/quix.py BROKERS EVENTS USERS URL REQUESTS

Runs in an interpreter of its own that has quixstreams, aiohttp, orjson and uvloop; it imports nothing of
ours. Joins each event with its user as of then (`join_asof`; RocksDB and changelog topics), keeps `Purchase`,
and posts at each checkpoint what has gathered, `CONCURRENCY` at once. Ends when so many are posted, and
prints the seconds from the first message of the run to the last answer.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import sys
import tempfile
import time
import uuid
from typing import Any

import aiohttp
import orjson
import uvloop
from quixstreams import Application
from quixstreams.models import JSONDeserializer
from quixstreams.sinks import BatchingSink, SinkBatch

CONCURRENCY = 16
COMMIT_EVERY = 2_000
"""Messages between two checkpoints; each posts its batch, flushes the changelog and commits the offsets."""
SECRET = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


class Posts(BatchingSink):  # type: ignore[misc]  # quixstreams is not installed where types are checked
    """Posts what a checkpoint has gathered; it is not committed before all are answered."""

    def __init__(self, url: str, requests: int) -> None:
        super().__init__()
        self.url = url
        self.left = requests
        self.loop = uvloop.new_event_loop()
        self.session: aiohttp.ClientSession | None = None
        self.first = self.worked = 0.0
        self.app: Application

    def write(self, batch: SinkBatch) -> None:
        bodies = [item.value for item in batch]
        self.loop.run_until_complete(self.post_all(bodies))
        self.left -= len(bodies)
        if self.left <= 0:
            self.worked = time.perf_counter() - self.first
            self.app.stop()

    async def post_all(self, bodies: list[dict[str, Any]]) -> None:
        if self.session is None:
            connector = aiohttp.TCPConnector(limit=CONCURRENCY)
            self.session = aiohttp.ClientSession(connector=connector)
        left = iter(bodies)
        await asyncio.gather(*(self.post(left) for _ in range(CONCURRENCY)))

    async def post(self, left: Any) -> None:
        assert self.session is not None
        for made in left:
            body = orjson.dumps({name: made[name] for name in ("user", "plan", "amount")})
            message, stamp = f"msg_{made['id']}", str(int(time.time()))
            signed = b".".join((message.encode(), stamp.encode(), body))
            signature = base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
            headers = {
                "content-type": "application/json",
                "webhook-id": message,
                "webhook-timestamp": stamp,
                "webhook-signature": f"v1,{signature}",
            }
            async with self.session.post(self.url, data=body, headers=headers) as response:
                await response.read()
                response.raise_for_status()


class Fast(JSONDeserializer):  # type: ignore[misc]  # Quix has no types
    """Reads with orjson, as everybody here does."""

    def __init__(self) -> None:
        super().__init__(loads=orjson.loads)


def merged(event: dict[str, Any], user: dict[str, Any] | None) -> dict[str, Any]:
    properties = (user or {}).get("set", {})
    return {
        "id": event["id"],
        "user": event["user_id"],
        "plan": properties.get("plan"),
        "amount": event["properties"].get("amount"),
    }


def main(brokers: str, events: str, users: str, url: str, requests: int) -> None:
    logging.getLogger("quixstreams").setLevel(logging.ERROR)
    posts = Posts(url, requests)
    with tempfile.TemporaryDirectory(prefix="quix-") as state:
        app = posts.app = Application(
            broker_address=brokers,
            consumer_group=f"quix-{uuid.uuid4().hex[:8]}",
            auto_offset_reset="earliest",
            state_dir=state,
            commit_every=COMMIT_EVERY,
            loglevel="ERROR",
        )
        left = app.dataframe(app.topic(events, value_deserializer=Fast()))
        right = app.dataframe(app.topic(users, value_deserializer=Fast()))

        def bought(event: dict[str, Any]) -> bool:
            posts.first = posts.first or time.perf_counter()
            return bool(event["name"] == "Purchase")

        left.filter(bought).join_asof(right, how="left", on_merge=merged).sink(posts)
        app.run()
    if posts.session is not None:
        posts.loop.run_until_complete(posts.session.close())
    print(posts.worked)


if __name__ == "__main__":
    address, events, users, url, number = sys.argv[1:]
    main(address, events, users, url, int(number))
