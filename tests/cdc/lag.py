"""How long after its commit a change is in its topic: ``python -m tests.cdc.lag``.

Prints the median, the 99th percentile and the most, for connectors that differ in how often they look
(`poll.interval.ms`, 500 by default).
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles

from pipeline.decode.connect.debezium import committed
from tests.cdc.chain import Chain, chain
from tests.cdc.story import PLAIN

CONNECTORS = {
    "usual": PLAIN,
    "often": PLAIN | {"poll.interval.ms": "20"},
}


def measure(one: Chain, name: str, changes: int) -> list[float]:
    """Return milliseconds from commit to a consumer, of so many changes at irregular moments."""
    topic = f"{name}.public.users"
    one.written.follow(topic)
    script = [
        statement
        for turn in range(changes)
        for statement in (f"UPDATE users SET turn = {turn} WHERE id = 1", "SELECT pg_sleep(0.2 * random())")
    ]
    found: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(one.postgres.sql, *script)
        while len(found) < changes:
            for message in one.written.poll(0.01):
                if message.source.startswith(topic) and message.value and b'"op":"u"' in message.value:
                    at = committed(message.value)
                    assert at is not None
                    found.append(time.time() * 1000 - at)
        running.result()
    return found


def main(changes: int) -> None:
    """Measure one connector after the other."""
    for name, settings in CONNECTORS.items():
        with tempfile.TemporaryDirectory() as scratch:
            table = ("CREATE TABLE users (id int PRIMARY KEY, turn int)", "INSERT INTO users VALUES (1, -1)")
            with chain(Path(scratch), {name: settings}, *table) as one:
                one.written.until(lambda: bool(one.written.messages), "the snapshot", f"{name}.public.users")
                measure(one, name, 10)
                found = measure(one, name, changes)
        hundredths = quantiles(found, n=100)
        print(f"{name}: median {median(found):.0f} ms, p99 {hundredths[98]:.0f} ms, most {max(found):.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
