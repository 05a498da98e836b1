"""A receiver that is down for long: what is owed waits on disk, survives the job, and arrives once."""

from __future__ import annotations

from pathlib import Path

from pipeline.deliver.lanes.lane import MAX_ENTRIES
from pipeline.receiver.server import Receiver
from tests.chaos.outage import outage
from tests.kit.programs.jobs import Job, accounted
from tests.kit.programs.ports import free_port
from tests.kit.programs.run import Bench, until


def test_what_is_owed_to_a_receiver_that_is_down_waits_on_disk_over_restarts(tmp_path: Path):
    figures = outage(tmp_path, events=3 * MAX_ENTRIES, kills=2, patience=30)
    print(figures.line())
    assert figures.peak < 400 << 20


def test_what_is_too_old_becomes_a_dead_letter_with_its_reason_and_the_last_answer(tmp_path: Path):
    port = free_port()
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


def test_a_due_time_survives_a_kill(tmp_path: Path):
    asked = 3
    with Receiver({"*": [{"status": 503, "headers": {"retry-after": str(asked)}}, 200]}) as receiver:
        bench = Bench(tmp_path)
        bench.webhook("w", receiver.url("/w"))
        bench.append({"id": "e1"})
        with Job(bench) as job:
            until(lambda: [row for row in bench.listed("outbox") if row["attempts"]])
            job.kill()
        with Job(bench) as job:
            until(lambda: bench.counts("w")["delivered"] == 1)
            job.stop()
        first, second = receiver.requests
        assert second.at - first.at >= asked
        assert (first.message_id, first.body) == (second.message_id, second.body)
        assert [request.headers["webhook-attempt"] for request in (first, second)] == ["1", "2"]
