"""Helpers of the delivery tests: deliveries, ports, a scripted client."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from msgspec.structs import replace

from pipeline.deliver.core import Core
from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.http.attempt import Attempt, Fault
from pipeline.deliver.http.tls import Contexts
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.lanes.settling import Settler
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.language.secrets import Secrets
from pipeline.outbox.handover import Delivery, Outcome, Port, Progress, Request, Result
from tests.kit.machine.clock import START_MS, ManualClock

LOOPBACK = ("127.0.0.0/8", "::1/128")


def delivery(
    n: int | str,
    webhook: str = "w",
    *,
    url: str = "http://127.0.0.1:1/hook",
    body: bytes = b'{"n":1}',
    created_ms: int = START_MS,
    row: bytes | None = None,
    attempt: int = 0,
    due_ms: int = 0,
    **fields: Any,
) -> Delivery:
    """Return a delivery for `Rig.give`, `Disk.add` or `submit`, which say whose it is."""
    key = f"{webhook}\0{n}".encode()
    request = Request(
        key=key,
        webhook_id=webhook,
        message_id=f"msg_{n}",
        config="cfg",
        url=url,
        body=body,
        created_ms=created_ms,
        **({"method": "POST"} | fields),
    )
    progress = Progress(attempt=attempt, due_ms=due_ms)
    return Delivery(port=NOBODY, request=request, progress=progress, row=row or key)


def copied(given: Delivery, port: Port | None = None) -> Delivery:
    """Return the delivery as its row brings it back: without what the engine noted on the other."""
    return Delivery(
        port=port or given.port,
        request=given.request,
        progress=replace(given.progress),
        row=given.row,
        stored=given.stored,
    )


def submit(engine: DeliveryEngine, port: Port, deliveries: list[Delivery]) -> None:
    """Hand deliveries of a port over."""
    for each in deliveries:
        each.port = port
    engine.submit(deliveries)


@dataclass
class Journal:
    """A journal in memory; checks that a delivery's result is written before its slot is freed."""

    written: list[tuple[bytes, Outcome]] = field(default_factory=list)
    writes: int = 0
    on_append: Callable[[], None] = lambda: None

    def append(self, results: list[Result], now_ms: int) -> None:
        self.on_append()
        self.writes += 1
        self.written += [(each.delivery.request.key, each.outcome) for each in results]

    def switch(self, generation: int) -> None: ...


NOBODY = Port(-1, Journal(), lambda *_: ([], None))


class Disk:
    """The outbox of one shard: rows in key order, and the worker's side of the port."""

    def __init__(self, shard: int = 0) -> None:
        self.rows: dict[bytes, Delivery] = {}
        self.journal = Journal()
        self.port = Port(shard, self.journal, self.refill)
        self.reads = 0

    def refill(
        self, webhook_id: str, cursor: bytes | None, limit: int
    ) -> tuple[list[Delivery], bytes | None]:
        self.reads += 1
        mine = sorted(row for row, each in self.rows.items() if each.request.webhook_id == webhook_id)
        after = [row for row in mine if cursor is None or row > cursor]
        page = [copied(self.rows[row], self.port) for row in after[:limit]]
        return page, after[limit - 1] if len(after) > limit else None

    def add(self, *rows: Delivery) -> None:
        for each in rows:
            each.stored = True
            self.rows[each.row] = each

    def take(self) -> list[Result]:
        return self.port.take(1)

    def commit(self, results: list[Result]) -> dict[str, int]:
        """Apply results as a shard does; return the new rows on disk by webhook."""
        new: dict[str, int] = {}
        for result in results:
            each = result.delivery
            if result.outcome is Outcome.RETRY:
                if each.stored:
                    self.rows[each.row] = copied(each)
            elif result.outcome is Outcome.PARKED:
                each.stored = True
                self.rows[each.row] = copied(each)
                new[each.request.webhook_id] = new.get(each.request.webhook_id, 0) + 1
            else:
                self.rows.pop(each.row, None)
        self.port.settled([each.delivery.row for each in results if each.outcome is not Outcome.RETRY])
        return new


class ScriptedClient:
    """Answers by script, per webhook: ``{"w": [503, "timeout", 200]}``; the last answer is repeated.

    "hang" never answers; "hold" answers 200 when `release` is called. latency: by webhook, in seconds of the
    manual clock.
    """

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.script: dict[str, list[Any]] = {}
        """Statuses, faults, statuses with fields of the attempt, "hang" or "hold"."""
        self.by_message: dict[str, list[Any]] = {}
        self.latency: dict[str, float] = {}
        self.sent: list[Attempt] = []
        self.waiting: deque[tuple[float, Attempt, Any]] = deque()
        self.held: list[Attempt] = []
        self.core: Core

    def send(self, attempt: Attempt) -> None:
        self.sent.append(attempt)
        lane: Lane = attempt.owner
        first = attempt.items[0].request.message_id
        answers = self.by_message.get(first) or self.script.get(lane.webhook_id, [200])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(attempt)
        if answer == "hang":
            return
        if answer == "hold":
            self.held.append(attempt)
            return
        self.waiting.append((self.clock.at + self.latency.get(lane.webhook_id, 0.0), attempt, answer))

    def abort(self, attempt: Attempt, fault: Fault | None, detail: str = "") -> None:
        if attempt.ended:
            return
        attempt.ended = True
        if fault is not None:
            attempt.fault, attempt.detail = fault, detail
            self.core.finished.append(attempt)

    async def close(self) -> None: ...

    def release(self, status: int = 200) -> None:
        for attempt in self.held:
            self.waiting.append((self.clock.at, attempt, status))
        self.held.clear()

    def next_answer(self) -> float:
        return min((due for due, _, _ in self.waiting), default=inf)

    def answer_due(self) -> None:
        later: deque[tuple[float, Attempt, Any]] = deque()
        for due, attempt, answer in self.waiting:
            if attempt.ended:
                continue
            if due > self.clock.at:
                later.append((due, attempt, answer))
                continue
            attempt.ended = True
            fields: dict[str, Any] = {}
            if isinstance(answer, tuple):
                answer, fields = answer
            if isinstance(answer, int):
                attempt.status = answer
            else:
                attempt.fault = answer
            for name, value in fields.items():
                setattr(attempt, name, value)
            self.core.finished.append(attempt)
        self.waiting = later


class Rig:
    """A core with a manual clock and a scripted client: time passes only in `run`."""

    def __init__(
        self, *specs: LaneSpec, luck: float = 0.5, max_flying: int = 2048, share: float = 1.0
    ) -> None:
        self.clock = ManualClock()
        self.client = ScriptedClient(self.clock)
        self.gone: list[tuple[str, str]] = []
        self.tokens: list[Lane] = []
        self.luck = random.Random(1).random if luck < 0 else lambda: luck
        self.core = Core(
            self.clock,
            {"native": self.client, "aiohttp": self.client},
            settler=Settler(
                self.clock,
                self.luck,
                lambda webhook_id, definition: self.gone.append((webhook_id, definition)),
            ),
            secrets=Secrets({"KEY": "k3y-value"}),
            contexts=Contexts(),
            fetch_token=self.tokens.append,
            share=share,
            max_flying=max_flying,
        )
        self.client.core = self.core
        self.disk = Disk()
        self.core.configure({spec.webhook_id: spec for spec in specs})

    def give(self, *deliveries: Delivery) -> None:
        for each in deliveries:
            each.port = self.disk.port
        self.core.take(deliveries)

    def run(self, until: float = 0.0) -> None:
        """Turn until nothing is left to do within this many seconds from now; time jumps to what is due."""
        end = self.clock.at + until
        for _ in range(1_000_000):
            self.client.answer_due()
            self.core.turn()
            due = min(self.core.next_due(), self.client.next_answer())
            if due > end:
                break
            self.clock.at = max(self.clock.at, due)
        else:
            raise AssertionError("the core never comes to rest")
        self.clock.at = end

    def results(self) -> list[Result]:
        return self.disk.take()

    def outcomes(self) -> list[tuple[str, Outcome, str]]:
        return [(each.delivery.request.message_id, each.outcome, each.reason) for each in self.results()]

    def commit(self) -> list[Result]:
        """Take results and commit them as the shard does; return them."""
        results = self.results()
        for webhook_id, rows in self.disk.commit(results).items():
            self.core.on_disk(self.disk.port, webhook_id, rows)
        return results

    def sent(self) -> list[str]:
        return [attempt.items[0].request.message_id for attempt in self.client.sent]
