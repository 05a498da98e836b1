"""`ordering: per_user` under failures and restarts: the order at the receiver, user by user."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Job, accounted, event_of, ids, ready
from tests.kit.programs.run import Bench, until

CONCURRENCY = 16


@dataclass(slots=True)
class Figures:
    """What was seen."""

    messages: int
    restarts: int
    kills: int
    requests: int
    extra: int
    """Requests beyond three per message."""

    def line(self) -> str:
        return (
            f"{self.messages} ordered messages, each answered 500, 500, 200, {self.restarts} restarts "
            f"({self.kills} of them SIGKILL): order exact, {self.extra} of {self.requests} requests twice "
            f"(bound {self.restarts * CONCURRENCY})"
        )


def ordering(folder: Path, *, users: int, each: int, restarts: int, seed: int) -> Figures:
    """Run it and check it: per user exactly the order of the events, every one delivered."""
    random = Random(seed)
    messages = users * each
    bench = Bench(folder)
    stops = sorted(random.sample(range(100, 3 * messages - 100), restarts))
    kills = 0
    with Receiver({"*": {"per_id": True, "answers": [500, 500, 200]}}) as receiver:
        bench.webhook(
            "w",
            receiver.url("/w"),
            f"delivery: {{ordering: per_user, concurrency: {CONCURRENCY}, "
            "retry: {min_delay: 20ms, max_delay: 50ms}}\n",
        )
        order = [user for user in range(users) for _ in range(each)]
        random.shuffle(order)
        seen: Counter[int] = Counter()
        for n, user in enumerate(order):
            properties = {"user": user, "n": seen[user]}
            properties = {"user": user, "n": seen[user]}
            bench.append({"id": f"e{n}", "user_id": f"u{user}", "properties": properties})
            seen[user] += 1
        for stop in stops:
            with Job(bench) as job:
                until(come_or_ended(receiver, stop, job), secs=60)
                if random.random() < 0.5:
                    kills += 1
                    job.kill()
                else:
                    twice(job)
        with Job(bench) as job:
            ready(bench, job)
            until(lambda: bench.counts("w")["delivered"] == messages, secs=60)
            job.stop()
    assert accounted(bench)["w"]["matched"] == messages
    came: dict[int, list[int]] = {}
    for request in receiver.requests:
        event = event_of(request)
        came.setdefault(event["user"], []).append(event["n"])
    for user, sequence in came.items():
        assert sequence == sorted(sequence), f"user {user}: {sequence}"
        assert set(sequence) == set(range(each)), f"user {user}"
    tries = ids(receiver.requests)
    assert len(tries) == messages
    assert min(tries.values()) >= 3
    extra = sum(tries.values()) - 3 * messages
    assert extra <= restarts * CONCURRENCY
    return Figures(messages, restarts, kills, sum(tries.values()), extra)


def come_or_ended(receiver: Receiver, number: int, job: Job) -> Callable[[], bool]:
    return lambda: len(receiver.requests) >= number or not job.runs()


def twice(job: Job) -> None:
    """Send SIGTERM twice: a drain would go on for seconds, the second signal ends it like a kill."""
    before = job.said.count("stopping")
    job.process.send_signal(signal.SIGTERM)
    until(lambda: job.said.count("stopping") > before or not job.runs())
    job.process.send_signal(signal.SIGTERM)
    job.process.wait(20)
