"""Prints what TriggerIndex.select costs per event: ``python -m tests.bench.alone.bench_match``.

Columns: how many webhooks, what the event is to them, nanoseconds per event (the best of five rounds).
"""

from __future__ import annotations

import platform
import time
from typing import Any

from pipeline.config.models.webhooks.webhook import Request, Trigger, WebhookFile
from pipeline.config.yaml.diagnostics import Problems
from pipeline.match.index import TriggerIndex
from pipeline.match.triggers import compile_trigger
from pipeline.model.records import Event, Origin

ROUNDS, CALLS = 5, 50_000
REQUEST = Request(url="https://x.example/")


def index_of(triggers: list[dict[str, Any]]) -> TriggerIndex:
    problems = Problems()
    compiled = [
        compile_trigger(
            WebhookFile(id=f"w{number}", trigger=Trigger(**trigger), request=REQUEST), problems=problems
        )
        for number, trigger in enumerate(triggers)
    ]
    assert not problems.errors
    return TriggerIndex(compiled)


def event(name: str, **properties: Any) -> Event:
    return Event(
        "e", name, "track", "u", None, 1_795_445_400_000, None, "web", properties, {}, Origin("f", 0)
    )


def nanoseconds(index: TriggerIndex, one: Event) -> float:
    select = index.select
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter_ns()
        for _ in range(CALLS):
            select(one)
        best = min(best, time.perf_counter_ns() - started)
    return best / CALLS


def rows() -> list[tuple[int, str, float]]:
    found = []
    for count in (1, 20, 1000):
        names = index_of([{"events": [f"Event {number}"]} for number in range(count)])
        where = {"event.properties.amount": {"gte": 500}, "event.properties.currency": "EUR"}
        conditions = index_of([{"events": [f"Event {number}"], "where": where} for number in range(count)])
        values = index_of(
            [{"events": ["Event 0"], "where": {"event.properties.shop": number}} for number in range(count)]
        )
        shared = index_of([{"events": ["Event 0"], "where": where} for _ in range(count)])
        mine = event("Event 0", amount=700, currency="EUR", shop=0)
        found += [
            (count, "a name that no webhook wants", nanoseconds(names, event("Other"))),
            (count, "a name that one webhook wants", nanoseconds(names, mine)),
            (count, "a name with two conditions, both hold", nanoseconds(conditions, mine)),
            (count, "one name, each webhook wants another value", nanoseconds(values, mine)),
            (count, "one name, all share conditions that do not hold", nanoseconds(shared, event("Event 0"))),
        ]
    return found


def main() -> None:
    print(f"Python {platform.python_version()} on {platform.machine()}, {CALLS} calls, best of {ROUNDS}")
    for count, what, cost in rows():
        print(f"{count:5} webhooks  {what:48} {cost:9.0f} ns")


if __name__ == "__main__":
    main()
