"""What the world's users do, and the config versions that it runs under.

The webhooks are those of tests/job/model.py, which knows by heart what they send. Versions differ in where
they send, and in which webhooks there are.
"""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.config.files import ConfigText, JobDefaults
from tests.job.model import WEBHOOKS, Model

START_SECS = 1_750_000_000
SETTINGS = {
    "bought": "delivery: {retry: {max_attempts: 2}}\n",
    "all": "delivery: {ordering: per_user, retry: {max_delay: 20s}}\n",
    "changed": "delivery: {timeout: 3s, concurrency: 2}\n",
    "limited": "delivery: {rate: 20/s, retry: {statuses: [429, 404]}}\n",
}
WITHOUT: dict[int, set[str]] = {0: set(), 1: {"changed"}, 2: {"bought"}, 3: set()}
"""Versions, and the webhooks that they do not have."""
URL = "http://127.0.0.1:9/"


def base(version: int) -> str:
    return f"{URL}v{version}/"


@cache
def snapshot(version: int) -> Snapshot:
    """Return a compiled version."""
    files = {
        f"webhooks/{name}.yaml": f"id: {name}\n" + text.replace("URL", base(version)) + SETTINGS[name]
        for name, text in WEBHOOKS.items()
        if name not in WITHOUT[version]
    }
    defaults = JobDefaults(network_allow=("127.0.0.0/8",), formats={"default": "native"})
    text = ConfigText(files, defaults=defaults)
    return compile_config(text, secrets=None).require()


@cache
def number_of(hash: str) -> int:
    return next(version for version in WITHOUT if snapshot(version).hash == hash)


class Users:
    """The users of one source partition, and what they do next. partition: its number."""

    def __init__(self, partition: int, luck: Random) -> None:
        self.luck = luck
        self.users = [f"u{partition}.{n}" for n in range(3)]
        self.guests = [f"a{partition}.{n}" for n in range(2)]
        self.number = 0

    def who(self) -> dict[str, str]:
        luck = self.luck
        if luck.random() < 0.7:
            return {"user_id": luck.choice(self.users)}
        return {"anonymous_id": luck.choice(self.guests)}

    def event(self) -> bytes:
        luck = self.luck
        self.number += 1
        record: dict[str, Any] = {
            "type": "event",
            **self.who(),
            "name": luck.choice(("Purchase", "Visit")),
            "time": START_SECS + self.number * luck.randint(1, 400),
            "properties": {"n": self.number, "amount": luck.randint(5, 20)},
        }
        if luck.random() < 0.5:
            record["id"] = f"e{self.users[0]}{self.number}"
        return json.dumps(record).encode()

    def update(self) -> bytes:
        luck = self.luck
        if luck.random() < 0.2:
            who = {"user_id": luck.choice(self.users), "anonymous_id": luck.choice(self.guests)}
            record: dict[str, Any] = {"type": "identify", **who}
        else:
            record = {"type": "user", **self.who()}
        word = luck.choice(("set", "set", "set_once"))
        record[word] = {luck.choice(("plan", "name")): luck.choice(("pro", "team", "free", 1, None))}
        return json.dumps(record).encode()

    def record(self) -> bytes:
        luck = self.luck
        if luck.random() < 0.03:
            return b"no record"
        return self.event() if luck.random() < 0.7 else self.update()


class Oracle(Model):
    """What must be sent for the records of one partition, each under the version that it ran under."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 0
        self.expected: dict[str, tuple[str, str]] = {}
        """webhook-id to webhook, and URL with body."""
        self.visits = 0

    def event(self, event: Any, key: str, user: str | None, guest: str | None, mark: str) -> None:
        self.visits += event["name"] == "Visit"
        super().event(event, key, user, guest, mark)

    def send(self, webhook: str, path: str, mark: str, body: dict[str, Any]) -> None:
        if webhook not in WITHOUT[self.version]:
            self.requests.clear()
            super().send(webhook, path, mark, body)
            ((name, url, text),) = self.requests
            request = url.replace(URL, base(self.version), 1) + " " + text
            assert self.expected.setdefault(name, (webhook, request)) == (webhook, request)
