"""Microseconds per call of the join: ``python -m tests.bench.alone.bench_join``. The best of five rounds.

10,000 users in a real store, all of them in the cache for "known", none of them for "from disk".
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.join.users import Users
from pipeline.model.json import Value
from pipeline.model.records import Origin, PropertyUpdate
from pipeline.store.store import Store

USERS, ROUNDS = 10_000, 5


def update(number: int, plan: str) -> PropertyUpdate:
    """Return an update that sets four properties."""
    properties: dict[str, Value] = {
        "name": f"User {number}",
        "email": f"u{number}@example.com",
        "plan": plan,
        "country": "DE",
    }
    return PropertyUpdate(None, f"u{number}", None, None, None, None, properties, {}, (), Origin("s", number))


def best(work: Callable[[], None]) -> float:
    """Return the least seconds of several rounds, per user."""
    spent = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return min(spent) / USERS


def main() -> None:
    """Print the table."""
    print(f"{platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name))
        users = Users(store)
        keys = [f"u:u{number}" for number in range(USERS)]
        updates = {plan: [update(number, plan) for number in range(USERS)] for plan in ("free", "pro")}

        def write() -> None:
            for plan, each in updates.items():
                for key, one in zip(keys, each, strict=True):
                    users.apply(key, one, "p" if plan else "")

        def commit() -> None:
            write()
            users.flush()
            store.commit()

        def read(of: Users) -> None:
            for key in keys:
                of.get(key)

        print(f"{'update, a known user':<40}{best(write) / 2 * 1e6:>8.2f} us")
        print(f"{'two updates and their share of a commit':<40}{best(commit) * 1e6:>8.2f} us")
        print(f"{'read, a known user':<40}{best(lambda: read(users)) * 1e6:>8.2f} us")
        print(f"{'read, from disk':<40}{best(lambda: read(Users(store))) * 1e6:>8.2f} us")
        store.close()


if __name__ == "__main__":
    main()
