"""A running job that reads bombs: what the webhook beside them feels, and what they leave in memory."""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path

import orjson

from pipeline.model.json import Value
from pipeline.receiver.server import Receiver
from tests.hostile.bombs.values import whole
from tests.kit.programs.jobs import Job, accounted, event_of, quantile, ready
from tests.kit.programs.run import Bench, until

BOMBS: dict[str, tuple[str, str, str]] = {
    "element": ("any_element: {event.properties.a: {x: 1}}", "{a: 1}", "maps"),
    "operand": ("'event.properties.a[*]': {lt: {path: 'event.properties.a[*]'}}", "{a: 1}", "numbers"),
    "fold": ("event.properties.a: {eq: '?', ignore_case: true}", "{a: 1}", "lists"),
    "pattern": ("event.properties.a: {regex: '(a?b?){400}c'}", "{a: 1}", "text"),
    "date": ("'event.properties.a[*]': {as: date, gt: '2030-01-01'}", "{a: 1}", "dates"),
    "loop": ("event.name: loop", "{x: {$for: '{{ (1..900) }}', $do: '{{ event.properties.a }}'}}", "ones"),
    "filter": ("event.name: filter", "{x: '{{ event.properties.a | sort | uniq | join }}'}", "floats"),
    "letters": ("event.name: letters", "{x: '{{ event.properties.a | escapejs }}'}", "quotes"),
    "chain": (
        "event.name: chain",
        "{x: '{% for i in event.properties.a %}{{ i | json }}{% endfor %}'}",
        "items",
    ),
}
"""What webhooks ask, what they send, and the value that is built against it."""


@dataclass(slots=True)
class Figures:
    """Milliseconds from an event's writing to its arrival, and bytes."""

    quiet: list[float]
    bombed: list[float]
    idle: int
    peak: int
    dead: int
    secs_per_bomb: float
    """CPU time that a bomb took of the job."""

    def line(self) -> str:
        p99 = [quantile(times, 0.99) for times in (self.quiet, self.bombed)]
        return (
            f"p99 {p99[0]:.1f} ms alone, {p99[1]:.1f} ms while bombs pass (ratio {p99[1] / p99[0]:.2f}), "
            f"longest {max(self.quiet):.0f} and {max(self.bombed):.0f} ms; {self.dead} dead letters, "
            f"{1e3 * self.secs_per_bomb:.0f} ms of CPU each; "
            f"RSS {self.idle >> 20} MiB idle, {self.peak >> 20} at most"
        )


def passing(folder: Path, *, rounds: int, events: int, per_sec: float, every: int) -> Figures:
    """Send events to one webhook, in rounds without and with a bomb at every so many."""
    with Receiver({"*": [200]}) as receiver:
        bench = Bench(folder, "{network: {allow: [127.0.0.0/8]}, epoch: 500ms, shards: 2}")
        bench.webhook("well", receiver.url("/well"), events="[order]")
        for name, (where, body, _) in BOMBS.items():
            bench.write(
                name,
                f"trigger: {{events: [{name}], where: {{{where}}}}}\n"
                f"request: {{url: '{receiver.url(f'/{name}')}', body: {body}}}\n",
            )
        # As bytes: this process must not spend the time of the job on looking through millions of objects.
        built = {name: orjson.dumps(whole()[shape]) for name, (_, _, shape) in BOMBS.items()}
        whole.cache_clear()
        kinds, number, sent = cycle(BOMBS), 0, 0
        quiet: list[int] = []
        bombed: list[int] = []
        with Job(bench, fresh=True) as job:
            ready(bench, job)
            _event(bench, "order", 0, 0)
            until(lambda: bool(receiver.requests))
            idle = job.rss()
            cpu = [0.0, 0.0]
            for at_round in range(2 * rounds):
                begun, cpu_before = time.monotonic(), job.cpu()
                for at in range(events):
                    wait = begun + at / per_sec - time.monotonic()
                    if wait > 0:
                        time.sleep(wait)  # the rate is the input, nothing is waited for
                    number += 1
                    (bombed if at_round % 2 else quiet).append(number)
                    if at_round % 2 and at % every == every - 1:
                        kind = next(kinds)
                        sent += 1
                        _event(bench, kind, -sent, orjson.Fragment(built[kind]))
                    _event(bench, "order", number, 0)
                until(partial(_arrived, receiver, number + 1), secs=60)
                if at_round % 2:
                    until(partial(_settled, bench, sent), secs=60)
                cpu[at_round % 2] += job.cpu() - cpu_before
            dead = sum(counts["dead"] for counts in accounted(bench).values())
            peak = job.peak()
            job.stop()
        arrived = {
            said["n"]: (request.at - said["at"]) * 1000
            for request in receiver.requests
            if request.path == "/well" and (said := event_of(request))
        }
    secs = (cpu[1] - cpu[0]) / max(sent, 1)
    return Figures([arrived[one] for one in quiet], [arrived[one] for one in bombed], idle, peak, dead, secs)


def _settled(bench: Bench, sent: int) -> bool:
    bombs = [counts for name, counts in accounted(bench).items() if name in BOMBS]
    return sum(counts["matched"] - counts["pending"] for counts in bombs) == sent


def _arrived(receiver: Receiver, many: int) -> bool:
    return sum(request.path == "/well" for request in list(receiver.requests)) == many


def _event(bench: Bench, name: str, number: int, value: Value) -> None:
    properties = {"n": number, "at": time.time(), "a": value}
    said = {"type": "event", "id": f"e{number}", "name": name, "user_id": f"u{number % 20}"}
    with bench.stream.open("ab") as file:
        file.write(orjson.dumps({**said, "properties": properties}) + b"\n")


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--events", type=int, default=1_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(passing(Path(folder), rounds=given.rounds, events=given.events, per_sec=50, every=100).line())


if __name__ == "__main__":
    main()
