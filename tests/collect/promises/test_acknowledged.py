"""C1: what was answered with success is on disk, whatever happens to the process a moment later."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.collect.promises.syscalls import TRACED, answers
from tests.collect.sdks.clients import command, environment
from tests.kit.collector import Collector
from tests.kit.machine.preload import Machine
from tests.kit.programs.run import children, until


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"type": "event", "name": "E", "user_id": "u", "id": f"mark-{number}-", **more}


def ids(collector: Collector) -> Counter[str]:
    return Counter(line["value"].get("id") or line["value"].get("messageId") for line in collector.lines())


def kill_again_and_again(
    collector: Collector, sdks: int, events: int, kills: int, seed: int, stops: float = 0
) -> None:
    """Kill the collector at random while SDKs that retry send, then check what they were told.

    stops: the share that is ended by SIGTERM instead, as on a release.
    """
    chance = random.Random(seed)
    words = [
        command("py", "servers", "segment-paced", collector.url, "wk_server", f"s{n}-", 2, events)
        for n in range(sdks)
    ]
    env = environment("py")
    sending = [
        subprocess.Popen(one, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for one in words
    ]
    try:
        pool = ThreadPoolExecutor(sdks)
        said = [pool.submit(one.communicate) for one in sending]

        def grown(before: int) -> bool:
            return collector.size() > before or all(one.done() for one in said)

        done = 0
        while done < kills and not all(one.done() for one in said):
            before = collector.size()
            # A moment after something was written: often while the next group is.
            until(partial(grown, before))
            try:
                assert collector.process is not None
                collector.process.wait(chance.uniform(0, 0.06))
            except subprocess.TimeoutExpired:
                pass
            (collector.stop if chance.random() < stops else collector.kill)()
            done += 1
            collector.start()
        rows = [json.loads(line) for one in said for line in one.result()[0].splitlines()]
    finally:
        for one in sending:
            one.kill()
            one.wait()
    assert done == kills, "the SDKs were done before the last kill"
    acked = [id for row in rows for id in row.get("acked", [])]
    recorded = ids(collector)
    assert [row["failed"] for row in rows if "failed" in row] == [[]] * sdks
    assert len(acked) == sdks * (events + 2)
    assert [id for id in acked if id not in recorded] == []
    # Repeats of what a killed collector had kept and not answered are known again after its start.
    assert {id: times for id, times in recorded.items() if times > 1} == {}


def test_a_collector_that_is_killed_under_load_has_every_event_that_an_sdk_saw_acknowledged(tmp_path: Path):
    with Collector(tmp_path) as collector:
        kill_again_and_again(collector, sdks=2, events=300, kills=2, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_kills(tmp_path: Path):
    with Collector(tmp_path) as collector:
        kill_again_and_again(collector, sdks=2, events=20_000, kills=50, seed=2, stops=0.1)


def test_an_answer_leaves_after_the_sync_that_covers_its_line(tmp_path: Path):
    trace = tmp_path / "trace"
    if shutil.which("strace") is None:
        pytest.skip("watching syncs needs strace")
    probe = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"this machine does not let a process be traced: {probe.stderr}")
    before = ("strace", "-f", "-qq", "-s", "6000", "-e", f"trace={TRACED}", "-e", "signal=none", "-o", trace)
    number, clients = 1_000, 8
    collector = Collector(tmp_path, before=before)
    with collector:

        def send(first: int) -> list[int]:
            return [collector.post("/v1/events", event(n))[0] for n in range(first, number, clients)]

        with ThreadPoolExecutor(clients) as pool:
            statuses = [status for some in pool.map(send, range(clients)) for status in some]
        assert collector.process is not None
        (traced,) = children(collector.process.pid)
        os.kill(traced, signal.SIGTERM)
        collector.process.wait(30)
    assert statuses == [200] * number
    seen = answers(trace)
    assert seen.early == []
    assert len(seen.covered) == number


def test_what_is_sent_twenty_times_at_once_is_kept_once_and_each_waits_for_the_disk(
    tmp_path: Path,
):
    machine = Machine(tmp_path / "machine")
    collector = Collector(tmp_path, environment=machine.environment)
    with collector, ThreadPoolExecutor(20) as pool:
        machine.slow_disk(0.3)
        waiting = [pool.submit(collector.post, "/v1/events", event(7)) for _ in range(20)]
        until(lambda: any(b"mark-7-" in path.read_bytes() for path in collector.segments()))
        assert [one for one in waiting if one.done()] == []
        assert {one.result()[0] for one in waiting} == {200}
        machine.slow_disk(0)
        assert ids(collector) == {"mark-7-": 1}
        for end in (collector.kill, collector.stop):
            end()
            collector.start()
            assert collector.post("/v1/events", event(7))[0] == 200
            assert collector.post("/v1/events", event(8))[0] == 200
            assert ids(collector) == {"mark-7-": 1, "mark-8-": 1}
