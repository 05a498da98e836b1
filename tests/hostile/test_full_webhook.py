"""A receiver that is gone, behind `on_full: pause`: the others go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from pipeline.runtime.processes.group import free_ports
from tests.kit.programs.jobs import Job, accounted
from tests.kit.programs.run import Bench, until


@pytest.mark.parametrize("follow", [True, False], ids=["live", "a recording"])
def test_a_dead_receiver_that_pauses_the_source_silences_nobody_for_good(
    tmp_path: Path, receiver: Receiver, follow: bool
) -> None:
    bench = Bench(tmp_path)
    (closed,) = free_ports(1)
    bench.webhook("well", receiver.url("/well"))
    bench.webhook(
        "gone",
        f"http://127.0.0.1:{closed}/",
        "delivery: {on_full: pause, max_pending: 1, max_pause: 300ms}\n",
    )
    bench.append(*({"id": f"e{n}", "user_id": f"u{n}"} for n in range(2_000)))
    with Job(bench, follow=follow) as job:
        until(lambda: len(receiver.requests) >= 2_000)
        if follow:
            bench.append({"id": "late", "user_id": "u1"})
            until(lambda: len(receiver.requests) == 2_001)
        until(lambda: accounted(bench)["gone"]["dead"])
    assert "reading goes on" in job.said
    assert {(one["webhook"], one["reason"]) for one in bench.listed("dlq")} == {("gone", "max-pending")}


@pytest.mark.parametrize(
    "user",
    [lambda n: 0, lambda n: n % 100, lambda n: 0 if n < 500 else n],
    ids=["one user", "a hundred", "one, then others"],
)
def test_a_webhook_is_full_at_max_pending_whoever_its_users_are(
    tmp_path: Path, user: Callable[[int], int]
) -> None:
    bench = Bench(tmp_path)
    (closed,) = free_ports(1)
    bench.webhook("gone", f"http://127.0.0.1:{closed}/", "delivery: {max_pending: 200}\n")
    bench.append(*({"id": f"e{n}", "user_id": f"u{user(n)}"} for n in range(1_000)))
    with Job(bench, follow=True):
        until(lambda: bench.counts("gone")["matched"] == 1_000)
        counts = bench.counts("gone")
    assert (counts["pending"], counts["dead"]) == (200, 800)


def test_it_is_full_after_a_restart_too_for_users_of_other_shards(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    (closed,) = free_ports(1)
    bench.webhook("gone", f"http://127.0.0.1:{closed}/", "delivery: {max_pending: 200}\n")
    bench.append(*({"id": f"e{n}", "user_id": "u0"} for n in range(200)))
    with Job(bench, follow=True):
        until(lambda: bench.counts("gone")["matched"] == 200)
    bench.append(*({"id": f"f{n}", "user_id": f"u{n}"} for n in range(100)))
    with Job(bench, follow=True):
        until(lambda: bench.counts("gone")["matched"] == 300)
    assert bench.counts("gone")["pending"] == 200
