"""A receiver that is down for long: what is owed waits on disk, survives the job, and arrives once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from jobs import Job, accounted, event_of, ids, ready
from running import Bench, until

from pipeline.deliver.lane import MAX_ENTRIES
from pipeline.receiver.server import Receiver

EVENTS = 3 * MAX_ENTRIES


@pytest.fixture
def port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_what_is_owed_to_a_receiver_that_is_down_waits_on_disk_over_restarts(tmp_path: Path, port: int):
    bench = Bench(tmp_path)
    bench.webhook("w", f"http://127.0.0.1:{port}/w", "delivery: {retry: {min_delay: 200ms, max_delay: 2s}}\n")
    bench.append(*({"id": f"e{n}", "user_id": f"u{n}", "properties": {"n": n}} for n in range(EVENTS)))
    with Job(bench) as job:
        until(lambda: bench.counts("w")["pending"] == EVENTS)
        lane = bench.status()["lanes"]["w"]
        assert lane["queued"] + lane["waiting"] + lane["in_flight"] <= MAX_ENTRIES
        assert lane["on_disk"] >= EVENTS - MAX_ENTRIES
        job.stop()
    assert accounted(bench)["w"]["pending"] == EVENTS
    with Job(bench) as job:
        ready(bench, job)
        until(lambda: bench.status()["lanes"]["w"]["retried"] > 0)
        job.kill()
    with Job(bench) as job:
        ready(bench, job)
        with Receiver({"*": [200]}, port=port) as receiver:
            until(lambda: accounted(bench)["w"]["delivered"] == EVENTS)
            job.stop()
        assert {event_of(request)["n"] for request in receiver.requests} == set(range(EVENTS))
        assert set(ids(receiver.requests).values()) == {1}
    assert accounted(bench)["w"]["pending"] == 0


def test_what_is_too_old_becomes_a_dead_letter_with_its_reason_and_the_last_answer(tmp_path: Path, port: int):
    bench = Bench(tmp_path)
    age = "delivery: {retry: {min_delay: 100ms, max_age: 1s}}\n"
    with Receiver({"*": [{"status": 503, "body": "closed for the holidays"}]}) as receiver:
        bench.webhook("closed", receiver.url("/w"), age)
        bench.webhook("absent", f"http://127.0.0.1:{port}/w", age)
        bench.append(*({"id": f"e{n}", "user_id": f"u{n}"} for n in range(5)))
        with Job(bench) as job:
            until(lambda: all(bench.counts(name)["dead"] == 5 for name in ("closed", "absent")))
            job.stop()
        counts = accounted(bench)
    assert counts["closed"] == counts["absent"]
    assert counts["closed"]["pending"] == 0
    letters = bench.hookline("dlq", "list", "--json")
    assert {letter["reason"] for letter in letters} == {"max-age"}
    for letter in letters:
        assert letter["attempts"] >= 1
        closed = letter["webhook"] == "closed"
        assert letter["status"] == (503 if closed else None)
        assert ("closed for the holidays" if closed else "connect:") in letter["response"]
