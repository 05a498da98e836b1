"""What must be sent for a stream, in plain Python: no chunks, no stores, no compiled conditions.

It reads the records of one native stream in order and knows four webhooks (WEBHOOKS) by heart.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

URL = "http://127.0.0.1:9/"

WEBHOOKS = {
    "bought": "trigger: {events: [Purchase], where: [{event.properties.amount: {gte: 10}},"
    " {user.properties.plan: {in: [pro, team]}}]}\n"
    "request: {url: 'URLbought', body: {n: '{{ event.properties.n }}', plan: '{{ user.properties.plan }}',"
    " name: '{{ user.properties.name }}'}}\n",
    "all": "trigger: {events: '*'}\nrequest: {url: 'URLall/{{ event.name }}',"
    " body: {user: '{{ user.id }}', guest: '{{ user.anonymous_id }}', n: '{{ event.properties.n }}'}}\n",
    "changed": "trigger: {changes: [plan, name]}\nrequest: {url: 'URLchanged',"
    " body: {user: '{{ user.id }}', was: '{{ user.before.plan }}', is: '{{ user.properties.plan }}',"
    " changed: '{{ event.properties }}'}}\n",
    "limited": "trigger: {events: [Visit]}\nlimit: {per: user, count: 2, every: 1h}\n"
    "request: {url: 'URLlimited', body: {n: '{{ event.properties.n }}'}}\n",
}

Request = tuple[str, str, str]
"""webhook-id, url, body as canonical JSON."""


def message_id(webhook: str, of: str) -> str:
    return (
        "msg_" + blake2b(f"{webhook}\0{of}".encode(), digest_size=16, person=b"hookline-message").hexdigest()
    )


def spelled(value: Any) -> str:
    """Return the same text for equal values: 5.0 is 5, and true is not 1."""
    return json.dumps(value if type(value) is not float or not value.is_integer() else int(value))


class Model:
    """The state after some records; `requests`: what was sent for them, `invalid`: how many were none."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.links: dict[str, str] = {}
        self.fired: dict[str, list[int]] = {}
        self.requests: set[Request] = set()
        self.invalid = 0

    def line(self, source: str, offset: int, text: bytes) -> None:
        """Read one line: a record, or a list of them."""
        try:
            value = json.loads(text)
        except ValueError:
            self.invalid += 1
            return
        for item, record in enumerate(value if isinstance(value, list) else [value]):
            self.record(record, f"{source}:{offset}" + (f"#{item}" if item else ""), source, offset, item)

    def record(self, record: Any, origin: str, source: str, offset: int, item: int) -> None:
        kind = record.get("type") if isinstance(record, dict) else None
        user: Any
        guest: Any
        user, guest = (record.get("user_id"), record.get("anonymous_id")) if kind else (None, None)
        if kind not in ("event", "user", "identify") or not (user or guest):
            self.invalid += 1
        elif kind == "event":
            self.event(
                record,
                *self.owner(user, guest),
                guest,
                f"\0{origin}" if not record.get("id") else record["id"],
            )
        else:
            if kind == "identify" and guest not in self.links and guest != user:
                self.links[guest] = user
                brought = self.users.pop(f"a:{guest}", {})
                mark = f"\0{source}:{offset}#{item | 1 << 31}"
                self.update(*self.owner(user, None), {}, brought, (), mark)
            key, owner = self.owner(user, guest)
            change = record.get("set", {}), record.get("set_once", {}), record.get("unset", ())
            if any(change):
                self.update(key, owner, *change, f"\0{origin}")

    def owner(self, user: str | None, guest: str | None) -> tuple[str, str | None]:
        """Return the key and the id of who a record belongs to."""
        user = user or self.links.get(str(guest))
        return (f"u:{user}", user) if user else (f"a:{guest}", None)

    def update(self, key: str, user: str | None, set_: Any, once: Any, unset: Any, mark: str) -> None:
        before = self.users.get(key, {})
        after = {**once, **before, **set_}
        after = self.users[key] = {name: value for name, value in after.items() if name not in unset}
        names = [
            n for n in {**before, **after} if spelled(before.get(n, "\0")) != spelled(after.get(n, "\0"))
        ]
        if {"plan", "name"} & set(names):
            body = {
                "user": user,
                "was": before.get("plan") if "plan" in names else None,
                "is": after.get("plan"),
                "changed": {n: after.get(n) for n in names},
            }
            self.send("changed", "changed", mark, body)

    def event(self, event: Any, key: str, user: str | None, guest: str | None, mark: str) -> None:
        known, n = self.users.get(key, {}), event["properties"].get("n")
        self.send("all", f"all/{quote(event['name'])}", mark, {"user": user, "guest": guest, "n": n})
        dear = event["properties"].get("amount", 0) >= 10
        if event["name"] == "Purchase" and dear and known.get("plan") in ("pro", "team"):
            body = {"n": n, "plan": known["plan"], "name": known.get("name")}
            self.send("bought", "bought", mark, body)
        if event["name"] == "Visit":
            times, at = self.fired.setdefault(key, []), event["time"] * 1000
            ordered = sorted([*times, at])
            if all(third - first >= 3_600_000 for first, third in zip(ordered, ordered[2:], strict=False)):
                self.fired[key] = [*times, at][-4:]
                self.send("limited", "limited", mark, {"n": n})

    def send(self, webhook: str, path: str, mark: str, body: dict[str, Any]) -> None:
        self.requests.add((message_id(webhook, mark), URL + path, json.dumps(body, sort_keys=True)))
