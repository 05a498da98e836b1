"""Microseconds per event for decode and for scan: ``python -m tests.bench.alone.bench_decode [lines]``.

Prints the median of five rounds, interleaved, since hosts change their speed within minutes.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable

import msgspec
import orjson

from pipeline.decode.decode import decode
from pipeline.decode.scan import scan
from pipeline.model.records import Origin
from pipeline.recording.shop import Shop
from pipeline.sources.chunk import CHUNK_LINES, NOWHERE, RawChunk

ROUNDS = 5


def chunks_of(lines: list[bytes]) -> list[RawChunk]:
    """Cut lines into chunks as a source does."""
    return [
        RawChunk("bench", "bench.jsonl", list(range(at, at + len(part))), list(part), NOWHERE)
        for at in range(0, len(lines), CHUNK_LINES)
        if (part := lines[at : at + CHUNK_LINES])
    ]


def main() -> None:
    """Time each way of reading the same lines, and print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
    shop = Shop(seed=1, users=500)
    lines = [line for line in shop.lines(count, firing=0.05) if b'"type":"event"' in line]
    chunks = chunks_of(lines)

    def all_decoded() -> None:
        for chunk in chunks:
            for line in chunk.lines:
                decode(line, format="auto", origin=Origin("bench.jsonl", 0))

    def scanned(wanted: frozenset[str]) -> Callable[[], None]:
        def run() -> None:
            for chunk in chunks:
                scan(chunk, format="auto", wants=lambda name, kind: name in wanted)

        return run

    ways: dict[str, Callable[[], object]] = {
        "orjson.loads alone": lambda: deque(map(orjson.loads, lines), maxlen=0),
        "msgspec.json.decode alone": lambda: deque(map(msgspec.json.decode, lines), maxlen=0),
        "decode, every event": all_decoded,
        "scan, nothing wanted": scanned(frozenset()),
        "scan, 5 % wanted": scanned(frozenset({"Purchase"})),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.process_time()
            way()
            took[name].append((time.process_time() - began) / len(lines) * 1e6)
    mean_bytes = sum(map(len, lines)) / len(lines)
    print(f"{platform.machine()}, Python {platform.python_version()}")
    print(f"{len(lines)} events of {mean_bytes:.0f} bytes")
    for name, rounds in took.items():
        print(f"{name:28} {statistics.median(rounds):6.2f} us per event")


if __name__ == "__main__":
    main()
