"""Many webhooks, four of them with a sick receiver: what the others feel, what becomes of the sick ones."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import SICK, Job, accounted, event_of, ids, quantile, ready, send_paced
from tests.kit.programs.run import Bench, until

DELIVERY = "delivery: {timeout: 60s, retry: {min_delay: 100ms, max_delay: 1s}}\n"


@dataclass(slots=True)
class Figures:
    """What was measured; times in milliseconds from the event's writing to its arrival, sizes in bytes."""

    webhooks: int
    events: int
    p99_well: float
    p99_sick: float
    rss_well: int
    rss_sick: int
    heal_secs: float

    def line(self) -> str:
        return (
            f"{self.webhooks} webhooks, {self.events} events: p99 {self.p99_well:.1f} ms with all well, "
            f"{self.p99_sick:.1f} ms beside 4 sick ones (ratio {self.p99_sick / self.p99_well:.2f}); "
            f"RSS {self.rss_well >> 20} -> {self.rss_sick >> 20} MiB; "
            f"all arrived {self.heal_secs:.1f} s after they healed"
        )


def isolation(folder: Path, *, webhooks: int, events: int, per_sec: float, patience: float) -> Figures:
    """Run it and check it: nothing is lost, nothing comes twice, the healthy ones wait for nobody."""
    names = [*SICK, *(f"w{number}" for number in range(webhooks - len(SICK)))]
    with Receiver({"*": [200]}) as receiver:
        bench = Bench(folder, "{network: {allow: [127.0.0.0/8]}, epoch: 500ms, shards: 4}")
        for name in names:
            bench.webhook(name, receiver.url(f"/{name}"), DELIVERY)
        healthy = {f"/{name}" for name in names if name not in SICK}
        with Job(bench, fresh=True) as job:
            ready(bench, job)
            # The first event makes every webhook's connections: not what is compared.
            send_paced(bench, 1, per_sec)
            until(lambda: len(receiver.requests) == webhooks, secs=patience)
            send_paced(bench, events, per_sec, start=1)
            until(lambda: len(receiver.requests) == webhooks * (events + 1), secs=patience)
            rss_well = job.rss()
            well = latencies(receiver, healthy, 1)
            start = events + 1

            receiver.answer({"*": [200]} | {f"/{name}": [answer] for name, answer in SICK.items()})
            send_paced(bench, events, per_sec, start=start)
            # The hanging one has answered nothing by then, and cannot: it has no answer.
            until(lambda: since(receiver, healthy, start) == len(healthy) * events, secs=patience)
            rss_sick = job.rss()
            sick = latencies(receiver, healthy, start)
            until(lambda: accounted(bench)["hanging"]["pending"] == events, secs=patience)
            assert accounted(bench)["failing"]["pending"] == events

            receiver.answer({"*": [200]})
            receiver.hang_up()
            healed = time.monotonic()
            for name in SICK:
                bench.hookline("outbox", "retry-now", "--webhook", name)
            until(
                lambda: all(
                    counts["delivered"] == start + events and not counts["pending"]
                    for counts in accounted(bench).values()
                ),
                secs=patience,
            )
            heal_secs = time.monotonic() - healed
            job.stop()
        assert accounted(bench).keys() == set(names)
        assert set(ids(r for r in receiver.requests if r.path in healthy).values()) == {1}
        return Figures(
            webhooks, events, quantile(well, 0.99), quantile(sick, 0.99), rss_well, rss_sick, heal_secs
        )


def since(receiver: Receiver, paths: set[str], start: int) -> int:
    """Return how many of the requests to these paths carry an event from ``start`` on."""
    return sum(r.path in paths and event_of(r)["n"] >= start for r in list(receiver.requests))


def latencies(receiver: Receiver, paths: set[str], start: int) -> list[float]:
    found = ((r.at, event_of(r)) for r in receiver.requests if r.path in paths)
    return [(at - event["at"]) * 1000 for at, event in found if event["n"] >= start]
