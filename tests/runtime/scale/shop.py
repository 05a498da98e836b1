"""A stream with everything that depends on order and place, webhooks that show it, and what came of it."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pipeline.receiver.received import Request
from pipeline.receiver.server import Receiver
from tests.kit.programs.run import Bench

WEBHOOKS = {
    "joined": "trigger: {events: [Purchase]}\n"
    "request: {url: '@/joined', body: {n: '{{ event.properties.n }}', user: '{{ user }}'}}\n",
    "changed": "trigger: {changes: [plan]}\n"
    "request: {url: '@/changed', body: {is: '{{ user.properties.plan }}', was: '{{ user.before.plan }}',"
    " user: '{{ user.id }}', seen: '{{ user.properties.seen }}'}}\n",
    "limited": "trigger: {events: '*'}\nlimit: {per: user, count: 3, every: ever}\n"
    "request: {url: '@/limited', body: {n: '{{ event.properties.n }}'}}\n",
}
Sent = tuple[str, str, bytes]
"""webhook-id, path, body."""


@dataclass(slots=True, frozen=True)
class Undisturbed:
    """What one process sends that nobody disturbs, and its accounting."""

    sent: frozenset[Sent]
    totals: Counter[str]


def open_shop(folder: Path, receiver: Receiver, records: int = 2500, shards: int = 6) -> Bench:
    """Write the config and the stream of a shop."""
    folder.mkdir(exist_ok=True)
    settings = "network: {allow: [127.0.0.0/8]}, epoch: 200ms, delivery: {concurrency: 16}"
    bench = Bench(folder, f"{{{settings}, shards: {shards}}}")
    for name, text in WEBHOOKS.items():
        bench.write(name, text.replace("@", receiver.url("")))
    with bench.stream.open("w") as file:
        for line in lines(records):
            file.write(json.dumps(line) + "\n")
    return bench


def lines(records: int, seed: int = 5) -> list[dict[str, object]]:
    """Return updates, links and events of known and unknown users; the same for the same numbers."""
    dice = random.Random(seed)
    found: list[dict[str, object]] = []
    for n in range(records):
        who: dict[str, object] = (
            {"user_id": f"u{dice.randrange(40)}"}
            if dice.random() < 0.7
            else {"anonymous_id": f"a{dice.randrange(40)}"}
        )
        kind = dice.random()
        if kind < 0.15:
            found.append({"type": "user", **who, "set": {"plan": dice.choice(["free", "pro", "team"])}})
        elif kind < 0.2:
            found.append({"type": "user", "anonymous_id": f"a{dice.randrange(40)}", "set_once": {"seen": n}})
        elif kind < 0.22:
            link = {"anonymous_id": f"a{dice.randrange(40)}", "user_id": f"u{dice.randrange(40)}"}
            found.append({"type": "identify", **link})
        else:
            event = {"type": "event", "name": dice.choice(["Purchase", "Visit"]), **who}
            found.append({**event, "time": 1_750_000_000 + n, "properties": {"n": n}})
    return found


def sent(requests: list[Request]) -> dict[Sent, int]:
    """Return what was sent and how often."""
    return Counter((request.message_id, request.path, request.body) for request in requests)
