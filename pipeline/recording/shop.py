"""A seeded shop: the shipped recording, and streams for tests and benches.

``python -m pipeline.recording.shop`` writes recordings/shop.jsonl.gz. One seed gives one stream, byte for
byte, on every machine and Python version.

Visitors come as nobody, look around, and some sign up: an identify then links their anonymous id. Users view,
buy, upgrade, refund and complain; what is known about them (plan, country, e-mail, name, lifetime value)
changes in between, before the event that it belongs to.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Any

import orjson

from pipeline.model.times import format_iso

RECORDING = Path("recordings/shop.jsonl.gz")
SEED = 20260302
USERS = 400
RECORDS = 12_000

_START_MS = 1_772_438_400_000  # 2026-03-02T08:00:00Z
_FIRST = (
    *("Ann", "Ben", "Carla", "Dmitri", "Elif", "Femi", "Grace"),
    *("Hugo", "Inès", "Jun", "Kofi", "Lena", "Mateo"),
)
_LAST = (
    *("Adler", "Baker", "Chen", "Dubois", "Eriksen", "Fischer"),
    *("Garcia", "Haddad", "Ito", "Kowalski", "Müller"),
)
_COUNTRIES = ("DE", "US", "FR", "GB", "SE", "NG", "JP", "BR")
_DOMAINS = ("acme.com", "example.org", "gmail.com", "globex.net", "initech.io", "gmail.com")
_PLANS = ("free", "free", "free", "pro", "pro", "enterprise")
_SOURCES = ("web", "web", "web", "ios", "android")
_PAGES = ("/", "/pricing/pro", "/pricing/enterprise", "/shop", "/blog/spring-sale", "/docs/a/b", "/support")
_PRODUCTS = (
    ("p-01", "Trail Shoe", "Shoes", 89.9),
    ("p-02", "City Boot", "Shoes", 159.0),
    ("p-03", "Rain Jacket", "Jackets", 219.5),
    ("p-04", "Down Parka", "Jackets", 480.0),
    ("p-05", "Wool Cap", "Accessories", 19.95),
    ("p-06", "Daypack 20", "Bags", 74.0),
    ("p-07", "Expedition Tent", "Camping", 689.0),
    ("p-08", "Camp Stove", "Camping", 54.5),
)
_TICKETS = (
    "Where is my order?",
    "The size does not fit",
    "I cannot log in",
    'Wrong item <b>delivered</b> & "late"',
)


@dataclass(slots=True)
class _User:
    id: str
    name: str
    email: str
    country: str
    plan: str
    source: str
    anonymous_id: str
    known: bool = False
    spent: float = 0.0
    orders: list[tuple[str, float]] = field(default_factory=list)
    busy_until: int = 0


class Shop:
    """One shop with its users; all methods draw from the same random numbers."""

    def __init__(self, *, seed: int = SEED, users: int = USERS) -> None:
        self._random = Random(seed)
        self._users = [self._new_user(number) for number in range(users)]
        self._numbers = count(1)
        self._waiting: list[tuple[int, int, dict[str, Any]]] = []
        self._order = count()

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield native records in time order, without end."""
        now = _START_MS
        while True:
            now += int(self._random.expovariate(1 / 9_000)) + 50
            while self._waiting and self._waiting[0][0] <= now:
                yield self._finished(heappop(self._waiting)[2])
            self._visit(now)

    def lines(self, records: int, firing: float | None = None) -> Iterator[bytes]:
        """Yield that many JSON lines without line ends.

        ``firing`` makes a bench stream instead: one update for each user, then events of which this share are
        named Purchase, evenly spread.
        """
        source = self.records() if firing is None else self._bench(firing)
        return map(orjson.dumps, islice(source, records))

    # --- the shop

    def _new_user(self, number: int) -> _User:
        pick = self._random.choice
        first, last = pick(_FIRST), pick(_LAST)
        email = f"{first}.{last}{number}@{pick(_DOMAINS)}".lower()
        anonymous_id = f"anon-{self._random.getrandbits(48):012x}"
        return _User(
            f"u{number + 1}", f"{first} {last}", email, pick(_COUNTRIES), "free", pick(_SOURCES), anonymous_id
        )

    def _visit(self, now: int) -> None:
        # A few users come often: the square puts half of the visits on a quarter of them.
        user = self._users[int(self._random.random() ** 2 * len(self._users))]
        clock = max(now, user.busy_until)
        for step in self._steps(user):
            clock += self._random.randrange(800, 45_000)
            step(user, clock)
        user.busy_until = clock

    def _steps(self, user: _User) -> list[Any]:
        chance = self._random.random
        steps: list[Any] = [self._page] * self._random.randrange(1, 3)
        if not user.known:
            return [*steps, self._viewed, self._sign_up] if chance() < 0.5 else steps
        steps += [self._viewed] * self._random.randrange(1, 4)
        if chance() < 0.45:
            steps.append(self._added)
            if chance() < 0.6:
                steps.append(self._checkout)
                if chance() < 0.75:
                    steps.append(self._purchase)
        if user.orders and chance() < 0.05:
            steps.append(self._refund)
        if user.plan != "enterprise" and chance() < 0.06:
            steps.append(self._upgrade)
        if chance() < 0.05:
            steps.append(self._ticket)
        if chance() < 0.04:
            steps.append(self._profile)
        return steps

    def _put(self, clock: int, record: dict[str, Any]) -> None:
        heappush(self._waiting, (clock, next(self._order), {**record, "time": format_iso(clock)}))

    def _finished(self, record: dict[str, Any]) -> dict[str, Any]:
        if record["type"] == "event":
            return {"type": "event", "id": f"e{next(self._numbers):06d}", **record}
        return record

    def _event(self, user: _User, clock: int, name: str, kind: str = "track", **properties: Any) -> None:
        who = {"user_id": user.id} if user.known else {"anonymous_id": user.anonymous_id}
        page = {"path": properties.get("path") or self._random.choice(_PAGES)}
        context = {"ip": f"203.0.113.{self._random.randrange(1, 255)}", "page": page}
        if user.source != "web":
            context = {"app": {"version": f"4.{self._random.randrange(12)}.0"}}
        record = {"type": "event", "name": name, "kind": kind, **who, "source": user.source}
        self._put(clock, {**record, "properties": properties, "context": context})

    def _update(self, user: _User, clock: int, **changes: Any) -> None:
        self._put(clock, {"type": "user", "user_id": user.id, "set": changes})

    def _page(self, user: _User, clock: int) -> None:
        path = self._random.choice(_PAGES)
        self._event(user, clock, "Page Viewed", "page", path=path, url=f"https://shop.example{path}")

    def _sign_up(self, user: _User, clock: int) -> None:
        user.known = True
        user.plan = self._random.choice(_PLANS)
        ids = {"anonymous_id": user.anonymous_id, "user_id": user.id}
        self._put(clock, {"type": "identify", **ids})
        known = {"name": user.name, "email": user.email, "country": user.country, "plan": user.plan}
        once = {"signed_up_at": format_iso(clock), "first_source": user.source}
        self._put(clock, {"type": "user", "user_id": user.id, "set": known, "set_once": once})
        self._event(user, clock, "Signed Up", plan=user.plan)

    def _product(self) -> dict[str, Any]:
        product_id, name, category, price = self._random.choice(_PRODUCTS)
        return {"id": product_id, "name": name, "category": category, "price": price}

    def _viewed(self, user: _User, clock: int) -> None:
        self._event(user, clock, "Product Viewed", product=self._product())

    def _added(self, user: _User, clock: int) -> None:
        self._event(user, clock, "Added To Cart", product=self._product(), qty=self._random.randrange(1, 4))

    def _checkout(self, user: _User, clock: int) -> None:
        self._event(user, clock, "Checkout Started", step=self._random.choice(("address", "payment")))

    def _purchase(self, user: _User, clock: int) -> None:
        products = [
            {**self._product(), "qty": self._random.randrange(1, 4)}
            for _ in range(self._random.randrange(1, 4))
        ]
        amount = round(sum(product["price"] * product["qty"] for product in products), 2)
        order_id = f"o-{self._random.getrandbits(32):08x}"
        user.spent = round(user.spent + amount, 2)
        user.orders.append((order_id, amount))
        self._update(user, clock, lifetime_value=user.spent, last_order_id=order_id)
        self._event(
            user, clock, "Purchase", order_id=order_id, amount=amount, currency="EUR", products=products
        )

    def _refund(self, user: _User, clock: int) -> None:
        order_id, amount = user.orders.pop()
        user.spent = round(user.spent - amount, 2)
        self._update(user, clock, lifetime_value=user.spent)
        reason = self._random.choice(("size", "damaged", "late", None))
        self._event(user, clock, "Refund Requested", order_id=order_id, amount=amount, reason=reason)

    def _upgrade(self, user: _User, clock: int) -> None:
        before = user.plan
        user.plan = "pro" if before == "free" else "enterprise"
        self._update(user, clock, plan=user.plan)
        self._event(user, clock, "Plan Upgraded", **{"from": before, "to": user.plan})

    def _ticket(self, user: _User, clock: int) -> None:
        priority = self._random.choice(("low", "normal", "urgent"))
        self._event(
            user, clock, "Support Ticket Opened", subject=self._random.choice(_TICKETS), priority=priority
        )

    def _profile(self, user: _User, clock: int) -> None:
        user.country = self._random.choice(_COUNTRIES)
        self._update(user, clock, country=user.country)

    # --- bench streams

    def _bench(self, firing: float) -> Iterator[dict[str, Any]]:
        for user in self._users:
            user.known = True
            properties = {"name": user.name, "email": user.email, "country": user.country, "plan": "pro"}
            yield {"type": "user", "user_id": user.id, "time": format_iso(_START_MS), "set": properties}
        fired = 0
        for number in count(1):
            is_firing = number * firing >= fired + 1
            fired += is_firing
            user = self._users[self._random.randrange(len(self._users))]
            yield {
                "type": "event",
                "id": f"e{number:08d}",
                "name": "Purchase" if is_firing else "Product Viewed",
                "user_id": user.id,
                "time": format_iso(_START_MS + number),
                "source": user.source,
                "properties": {
                    "amount": round(self._random.random() * 900, 2),
                    "currency": "EUR",
                    "product": self._product(),
                },
                "context": {"ip": "203.0.113.9"},
            }


def write_recording(path: Path, lines: Iterator[bytes]) -> int:
    """Write lines to a file, compressed where its name ends in .gz; return its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".gz"):
        # No time and no name in the gzip header: the same stream gives the same file.
        path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines), 9, mtime=0))
    else:
        with path.open("wb") as out:
            out.writelines(line + b"\n" for line in lines)
    return path.stat().st_size


def main() -> None:
    """Write a recording."""
    parser = argparse.ArgumentParser(
        description="Write a recording of a made-up shop, the same for each seed."
    )
    parser.add_argument("--out", type=Path, default=RECORDING, help="file to write (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument(
        "--firing", type=float, help="write a bench stream with this share of Purchase events"
    )
    given = parser.parse_args()
    lines = Shop(seed=given.seed, users=given.users).lines(given.records, given.firing)
    size = write_recording(given.out, lines)
    print(f"{given.out}: {given.records} records, {size:,} bytes")


if __name__ == "__main__":
    main()
