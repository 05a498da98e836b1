"""C5: what is more than the disk takes is refused so that each SDK keeps its data; memory stays flat."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.collect.sdks.clients import program
from tests.kit.collector import Collector
from tests.kit.machine.preload import Machine
from tests.kit.programs.run import until

SEGMENT, POSTHOG = "/v1/batch", "/batch/"
BODIES = {
    SEGMENT: {
        "writeKey": "wk_server",
        "batch": [{"type": "track", "event": "Noise", "userId": "n", "properties": {"text": "x" * 64_000}}],
    },
    POSTHOG: {
        "api_key": "wk_server",
        "batch": [{"event": "Noise", "distinct_id": "n", "properties": {"text": "x" * 64_000}}],
    },
}


@dataclass(slots=True)
class Load:
    """What came of posting from many connections until it was stopped."""

    statuses: dict[str, Counter[int]] = field(default_factory=lambda: {path: Counter() for path in BODIES})
    waits: dict[str, set[int]] = field(default_factory=lambda: {path: set() for path in BODIES})

    async def post(self, url: str, connections: int, stop: threading.Event) -> None:
        async def one(session: aiohttp.ClientSession, path: str) -> None:
            body = json.dumps(BODIES[path])
            while not stop.is_set():
                async with session.post(url + path, data=body) as answer:
                    await answer.read()
                    self.statuses[path][answer.status] += 1
                    if answer.status != 200:
                        self.waits[path].add(int(answer.headers["retry-after"]))

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(one(session, path) for path in BODIES for _ in range(connections // 2)))


def memory(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def overload(folder: Path, *, connections: int, answers: int, growth: int, events: int) -> None:
    """Post far more than a slow disk takes while SDKs send; then all that the SDKs have must be there."""
    machine = Machine(folder / "machine")
    limits = "  limits: {body: 1MiB, in_flight: 1MiB, hold: 300ms}"
    collector = Collector(folder, more=limits, environment=machine.environment)
    load, stop = Load(), threading.Event()
    with collector, ThreadPoolExecutor(3) as pool:
        assert collector.process is not None
        pid = collector.process.pid
        machine.slow_disk(0.1)
        posting = pool.submit(asyncio.run, load.post(collector.url, connections, stop))
        try:
            # Warm: both refuse already.
            until(lambda: load.statuses[SEGMENT][429] > 50 and load.statuses[POSTHOG][503] > 50)
            before = memory(pid)
            sdks = [
                pool.submit(program, "py", "servers", name, collector.url, "wk_server", f"{name}-", 2, events)
                for name in ("segment", "posthog")
            ]
            until(lambda: load.statuses[SEGMENT].total() > answers, secs=300)
            assert memory(pid) - before < growth
        finally:
            stop.set()
            machine.slow_disk(0)
        posting.result()
        assert [one.result() for one in sdks] == [{"failed": []}, {"failed": []}]
        assert set(load.statuses[SEGMENT]) == {200, 429}
        assert set(load.statuses[POSTHOG]) == {200, 503}, "429 makes posthog-js drop what it has"
        assert all(1 <= secs <= 30 for waits in load.waits.values() for secs in waits)
        assert load.statuses[SEGMENT][200] > 0 < load.statuses[POSTHOG][200]
        keys = Counter(line["key"][:-1] for line in collector.lines())
        assert {name: keys[name] for name in ("segment-", "posthog-")} == dict.fromkeys(
            ("segment-", "posthog-"), events + 2
        )
        assert keys[""] == load.statuses[SEGMENT][200] + load.statuses[POSTHOG][200]


def test_what_the_disk_cannot_take_is_refused_per_protocol_and_the_sdks_deliver_it_later(tmp_path: Path):
    overload(tmp_path, connections=100, answers=400, growth=24 << 20, events=100)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_minute_of_overload(tmp_path: Path):
    overload(tmp_path, connections=400, answers=60_000, growth=64 << 20, events=300)
