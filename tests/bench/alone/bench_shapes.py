"""What reading records of a custom shape costs: ``python -m tests.bench.alone.bench_shapes [lines]``.

The same events as Hookline's own records, as Segment's calls and as two home-made shapes, all with the same
ids, times and properties. Prints the least of many rounds, interleaved, and the ratio to the native ones.
"""

from __future__ import annotations

import platform
import sys
import time
from typing import Any

import orjson

from pipeline.decode.scan import scan
from pipeline.decode.shape import Shape
from pipeline.decode.shapes import SHAPES
from pipeline.recording.shop import Shop
from pipeline.sources.chunk import RawChunk
from tests.bench.alone.bench_decode import chunks_of
from tests.kit.streams.shapes import shape

ROUNDS = 40
FLAT = """
- event: {name: type, user_id: uid, id: eid, time: {path: ts, unit: ms}, properties: payload}
"""
NESTED = """
- when: [{kind: profile}]
  user: {user_id: id, set: attributes}
- when: [{kind: event}]
  event:
    name: [action, type]
    user_id: [actor.id, customer_id]
    id: meta.id
    time: {path: meta.ts, unit: ms}
    properties: payload
    context: {ip: meta.ip}
"""


def as_flat(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as a flat record."""
    return {
        "ts": event["ts"], "uid": event["user_id"], "type": event["name"], "eid": event["id"],
        "payload": event["properties"],
    }  # fmt: skip


def as_nested(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as a record with its parts apart."""
    return {
        "kind": "event", "type": event["name"], "actor": {"id": event["user_id"]},
        "meta": {"id": event["id"], "ts": event["ts"], "ip": "10.0.0.1"}, "payload": event["properties"],
    }  # fmt: skip


def as_segment(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as a track call."""
    return {
        "type": "track", "event": event["name"], "userId": event["user_id"], "messageId": event["id"],
        "timestamp": event["time"], "properties": event["properties"],
    }  # fmt: skip


def main() -> None:
    """Time each shape, once with every event wanted and once with none, and print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    lines = [line for line in Shop(seed=1, users=500).lines(count, firing=0.05) if b'"type":"event"' in line]
    events = [orjson.loads(line) for line in lines]
    for number, event in enumerate(events):
        event["ts"] = 1_795_435_200_000 + number
        event.setdefault("id", f"evt-{number}")
    kept = ("type", "name", "id", "user_id", "time", "properties")
    plain = [{key: event[key] for key in kept} | {"context": {"ip": "10.0.0.1"}} for event in events]
    ways: dict[str, tuple[Shape, list[RawChunk], float]] = {
        "native": (SHAPES["native"], *_chunks(plain)),
        "segment": (SHAPES["segment"], *_chunks([as_segment(event) for event in events])),
        "own, flat": (shape(FLAT), *_chunks([as_flat(event) for event in events])),
        "own, nested": (shape(NESTED), *_chunks([as_nested(event) for event in events])),
    }
    print(f"{platform.machine()}, Python {platform.python_version()}, {len(events)} events")
    for title, wanted in (("every event wanted", True), ("no event wanted", False)):
        least = dict.fromkeys(ways, 1e9)
        for _ in range(ROUNDS):
            for name, (by, chunks, _bytes) in ways.items():
                began = time.perf_counter()
                for chunk in chunks:
                    scan(chunk, format=by, wants=lambda event, kind: wanted)  # noqa: B023
                least[name] = min(least[name], (time.perf_counter() - began) / len(events) * 1e6)
        print(title)
        for name, took in least.items():
            ratio = took / least["native"]
            print(f"  {name:12} {ways[name][2]:4.0f} bytes {took:6.2f} us  {ratio:5.2f} x native")


def _chunks(records: list[dict[str, Any]]) -> tuple[list[RawChunk], float]:
    lines = [orjson.dumps(record) for record in records]
    return chunks_of(lines), sum(map(len, lines)) / len(lines)


if __name__ == "__main__":
    main()
