"""A recorded stream of the past, webhooks over it, and replays of it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.receiver.received import Request
from pipeline.receiver.server import Receiver
from tests.kit.programs.run import HOOKLINE, Bench, finished

BEGIN = 1_750_000_000
"""Unix seconds of the first line; one line per second."""
WEBHOOKS = {
    "crm": "trigger: {events: [Purchase]}\nrequest: {url: '@/crm/{{ user.id }}',"
    " query: {n: '{{ event.properties.n }}'},"
    " body: {n: '{{ event.properties.n }}', user: '{{ user }}', at: '{{ event.time }}'}}\n",
    "plans": "trigger: {changes: [plan]}\nrequest: {url: '@/plans', method: PUT,"
    " body: {is: '{{ user.properties.plan }}', was: '{{ user.before.plan }}', user: '{{ user.id }}'}}\n",
    "first": "trigger: {events: '*'}\nlimit: {per: user, count: 2, every: ever}\n"
    "request: {url: '@/first', encoding: form, headers: {X-Who: '{{ user.id }}'},"
    " body: {e: '{{ event.name }}'}}\n",
    "strict": "trigger: {events: [Visit]}\nrequest: {url: '@/strict', missing: dead_letter,"
    " body: {plan: '{{ user.properties.plan }}'}}\n",
}


@dataclass(slots=True)
class Past:
    """The config and the recording."""

    bench: Bench
    receiver: Receiver

    @staticmethod
    def of(folder: Path, receiver: Receiver, lines: int = 300) -> Past:
        bench = Bench(folder, "{network: {allow: [127.0.0.0/8]}, epoch: 200ms, shards: 3}")
        for name, text in WEBHOOKS.items():
            bench.write(name, text.replace("@", receiver.url("")))
        with bench.stream.open("w") as file:
            for n in range(lines):
                file.write(json.dumps(line(n)) + "\n")
        return Past(bench, receiver)

    def command(self, *flags: object) -> list[str]:
        words = ["replay", self.bench.stream, "-c", self.bench.config, *flags]
        return [str(HOOKLINE), *map(str, words)]

    @property
    def environment(self) -> dict[str, str]:
        return {**self.bench.environ, "HOOKLINE_STATE": str(self.bench.state)}

    def replay(self, *flags: object, code: int = 0) -> str:
        """Replay the recording; return stdout."""
        out, err = finished(*self.command(*flags), code=code, env=self.environment)
        return out if code == 0 else err

    def rehearse(self, *flags: object) -> list[dict[str, Any]]:
        """Return the rows of a dry run."""
        return [json.loads(row) for row in self.replay("--dry-run", *flags).splitlines()]


def line(n: int) -> dict[str, object]:
    user = {"user_id": f"u{n % 9}"} if n % 4 else {"anonymous_id": f"a{n % 5}"}
    at = {"time": BEGIN + n}
    if n % 7 == 3:
        return {"type": "user", **user, **at, "set": {"plan": ["free", "pro", "team"][n % 3]}}
    if n % 31 == 30:
        return {"type": "identify", "anonymous_id": f"a{n % 5}", "user_id": f"u{n % 9}", **at}
    return {"type": "event", "name": "Purchase" if n % 2 else "Visit", **user, **at, "properties": {"n": n}}


def told(rows: list[dict[str, Any]], receiver: Receiver) -> list[tuple[Any, ...]]:
    """Return what a dry run says will be sent, in a form that compares."""
    return sorted(
        (
            row["headers"]["webhook-id"],
            row["method"],
            row["url"].removeprefix(receiver.url("")),
            row["headers"]["Content-Type"],
            row["headers"].get("X-Who", row["headers"].get("x-who", "")),
            row["headers"]["webhook-replay"],
            row["body"] if isinstance(row["body"], str) else json.dumps(row["body"], sort_keys=True),
        )
        for row in rows
    )


def arrived(requests: list[Request]) -> list[tuple[Any, ...]]:
    """Return what was sent, in the same form."""
    found = []
    for request in requests:
        headers = request.headers
        is_json = headers["content-type"] == "application/json"
        body = json.dumps(json.loads(request.body), sort_keys=True) if is_json else request.body.decode()
        url = request.path + ("?" + request.query if request.query else "")
        found.append(
            (
                headers["webhook-id"], request.method, url, headers["content-type"],
                headers.get("x-who", ""), headers.get("webhook-replay"), body,
            )
        )  # fmt: skip
    return sorted(found)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder; the lock tables of LMDB hold readers, not state."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock.mdb")
    return {os.path.relpath(path, folder): path.read_bytes() for path in files}
