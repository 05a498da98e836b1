"""The delivery engine without its thread: its loop is turned by hand, its client asks the world."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from types import SimpleNamespace
from typing import Any

from pipeline.deliver.alarm import Alarm
from pipeline.deliver.core import Core
from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.http.attempt import Attempt, Fault
from pipeline.deliver.http.tls import Contexts
from pipeline.deliver.lanes.clock import Clock
from pipeline.deliver.lanes.settling import Settler
from pipeline.deliver.stats import Publisher
from pipeline.language.secrets import Secrets
from tests.simulation.world import Answer, World


class WorldClock(Clock):
    """The machine's clocks, as the world has them."""

    def __init__(self, world: World) -> None:
        self.world = world
        super().__init__()

    def now(self) -> float:
        return self.world.now

    def wall(self) -> float:
        return self.world.wall_ms() / 1000

    def cpu(self) -> float:
        return 0.0


class Loop:
    """An event loop: what is to be called soon, and the one timer of the engine."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.soon: deque[Callable[[], object]] = deque()
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def call_soon(self, call: Callable[[], object]) -> None:
        self.soon.append(call)

    call_soon_threadsafe = call_soon

    def call_later(self, secs: float, call: Callable[[], object]) -> Any:
        timer = (self.world.now + secs, call)
        self.timers.append(timer)

        def cancel() -> None:
            if timer in self.timers:
                self.timers.remove(timer)

        return SimpleNamespace(cancel=cancel)

    def due(self) -> float:
        return -inf if self.soon else min((due for due, _ in self.timers), default=inf)

    def run(self) -> bool:
        """Do what is next, if anything is."""
        if self.soon:
            self.soon.popleft()()
            return True
        for timer in sorted(self.timers, key=lambda timer: timer[0])[:1]:
            if timer[0] <= self.world.now:
                self.timers.remove(timer)
                timer[1]()
                return True
        return False


class WorldClient:
    """Sends to the world's receivers."""

    def __init__(self, world: World, finished: Callable[[Attempt], None]) -> None:
        self.world = world
        self.finished = finished
        self.awaited: list[tuple[float, Attempt, Answer]] = []

    def send(self, attempt: Attempt) -> None:
        self.world.disk.step("send")
        answer = self.world.receive(attempt)
        if answer.delay_secs < inf:
            self.awaited.append((self.world.now + answer.delay_secs, attempt, answer))

    def abort(self, attempt: Attempt, fault: Fault | None, detail: str = "") -> None:
        if attempt.abort(fault, detail):
            self.finished(attempt)

    def due(self) -> float:
        return min((due for due, _, _ in self.awaited), default=inf)

    def answer(self) -> bool:
        """Bring the answers that are there; False where none is."""
        due = [one for one in self.awaited if one[0] <= self.world.now]
        self.awaited = [one for one in self.awaited if one[0] > self.world.now]
        for _, attempt, answer in due:
            if not attempt.ended:
                attempt.ended = True
                attempt.status, attempt.fault = answer.status, answer.fault
                self.world.answered(attempt, answer)
                self.finished(attempt)
        return bool(due)

    async def close(self) -> None: ...


class HandEngine(DeliveryEngine):
    """The engine of one life."""

    def __init__(self, world: World, on_gone: Callable[[str, str], None]) -> None:
        super().__init__(secrets=Secrets({}), on_gone=on_gone, clock=WorldClock(world), max_flying=8)
        self.world = world

    def start(self) -> None:
        self.loop = Loop(self.world)
        loop: Any = self.loop  # as much of one as is used
        self._loop = loop
        self._turns, self._eased = Alarm(loop, self._turn), Alarm(loop, self._settle)
        self.client = WorldClient(self.world, self._finished)
        native = SimpleNamespace(open_connections=0, opened=0, trust=self._trust)
        self._publisher = Publisher(native)  # type: ignore[arg-type]  # as much of one as is used
        self._clients = {"native": self.client}
        self._core = Core(
            self._clock,
            self._clients,
            settler=Settler(self._clock, self.world.luck.random, self._on_gone),
            secrets=self._secrets,
            contexts=Contexts(),
            fetch_token=lambda lane: None,
            max_flying=self._max_flying,
        )
        self._lanes = self._core.lanes
        self._stopped = SimpleNamespace(done=lambda: False, set_result=lambda result: None)  # type: ignore[assignment]  # all that is asked of it
        self._turn()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._drained.set()

    def due(self) -> float:
        """Return when something happens by itself."""
        return min(self.loop.due(), self.client.due())

    def run(self) -> bool:
        """Do the next thing, if one is due; raises what an operation of the loop raised."""
        done = self.client.answer() or self.loop.run()
        if self._failure is not None:
            raise self._failure
        return done

    def drain(self, deadline_secs: float) -> bool:
        self.begin_drain(deadline_secs)
        end = self.world.now + deadline_secs
        while not self._drained.is_set():
            if not self.run():
                if self.due() > end:
                    break
                self.world.now = max(self.world.now, self.due())
        self._deadline, self._close_at = None, inf
        return self._core is not None and self._core.is_empty()

    def stop(self) -> None:
        self._stopping = True
        self._turn()
        if self._failure is not None:
            raise self._failure
