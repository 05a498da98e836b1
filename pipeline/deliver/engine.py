"""The delivery engine: a thread with a uvloop event loop around `Core`.

Workers append to an inbox and wake the loop only when it is idle; the engine tells them nothing but through
`Port.post` and through numbers that they read. Bytewax waits for nobody: no method here blocks but `drain`,
`start` and `stop`.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from math import inf

import uvloop

from pipeline.config.secrets import Secrets
from pipeline.deliver.attempt import Attempt, Client
from pipeline.deliver.clock import Clock
from pipeline.deliver.core import Core
from pipeline.deliver.credentials import UsedSecrets
from pipeline.deliver.guard import Network, parse_allow
from pipeline.deliver.lane import MAX_BYTES, MAX_ENTRIES, Lane
from pipeline.deliver.native import NativeClient
from pipeline.deliver.oauth import TokenError, request_token
from pipeline.deliver.pressure import BACKLOG
from pipeline.deliver.report import EngineStats, engine_stats, publish, publish_client
from pipeline.deliver.resolve import Lookup, Resolver, system_lookup
from pipeline.deliver.settle import Settler
from pipeline.deliver.spec import LaneSpec
from pipeline.deliver.tls import Contexts
from pipeline.model.errors import Fatal, HooklineError, full_disk
from pipeline.state.handover import Delivery, Port
from pipeline.telemetry.log import get
from pipeline.telemetry.metrics import count

log = get(__name__)

MAX_TOTAL = 50_000
"""Deliveries in memory in all; the nearer, the fewer a lane may add."""
ALWAYS = 32
"""Deliveries that a lane may hold however full the memory is."""
PUBLISH_SECS = 1.0
PUBLISHED_LANES = 20
"""Lanes whose metrics are brought up to date in one turn of the loop."""


class DeliveryEngine:
    """One per process; see `state.handover.Engine` for what the shards call.

    allow: networks that the guard opens, as CIDR texts. share: this process's part of every rate and
    concurrency, 1/N. on_gone: called (by the engine's thread) with webhook id and definition when a 410
    answer disables a webhook, so that it can be remembered over a restart.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        secrets: Secrets | None = None,
        share: float = 1.0,
        on_gone: Callable[[str, str], None] = lambda webhook_id, definition: None,
        clock: Clock | None = None,
        max_flying: int = 2048,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._allow: tuple[Network, ...] = parse_allow(allow)
        self._secrets = secrets if secrets is not None else Secrets()
        self._share = share
        self._on_gone = on_gone
        self._clock = clock if clock is not None else Clock()
        self._max_flying = max_flying
        self._lookup = lookup
        self._inbox: deque[Callable[[Core], None]] = deque()
        self._handed: deque[tuple[Port, list[Delivery]]] = deque()
        self._idle = False
        self._stopping = False
        self._deadline: float | None = None
        self._drained = threading.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._core: Core | None = None
        self._lanes: Mapping[str, Lane] = {}
        self._clients: dict[str, Client] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._planned = False
        self._publish_at = inf
        self._unpublished: deque[Lane] = deque()
        self._was_flying = False

    # --- life

    def start(self) -> None:
        """Start the thread; returns when the engine takes requests."""
        self._thread = threading.Thread(target=self._run, name="deliver", daemon=True)
        self._thread.start()
        self._started.wait()
        self._check()

    def stop(self) -> None:
        """End what is in flight without results, and the thread. What is not settled stays owed."""
        thread = self._thread
        if thread is None:
            return
        self._stopping = True
        self._wake(force=True)
        thread.join()
        self._thread = None

    def drain(self, deadline_secs: float) -> bool:
        """Wait until nothing more can complete within the time; True where nothing is owed any more.

        It returns early where what is left is not due in time, belongs to a halted webhook, or waits for a
        commit. Batches are sent at once, full or not.
        """
        self._check()
        if self._thread is None:
            return False
        self._drained.clear()
        self._deadline = self._clock.now() + deadline_secs
        self._wake(force=True)
        self._drained.wait(deadline_secs + 1.0)
        self._deadline = None
        self._check()
        return self._core is not None and self._core.is_empty()

    def begin_drain(self, deadline_secs: float) -> None:
        """Start what `drain` waits for: batches go out as they are; `is_drained` tells when it is over."""
        self._check()
        self._drained.clear()
        self._deadline = self._clock.now() + deadline_secs
        self._wake(force=True)

    def is_drained(self) -> bool:
        """Return whether nothing more can complete before the deadline of `begin_drain`. Never waits.

        Rows that a shard has yet to commit are not known here: the caller must ask the shards.
        """
        self._check()
        return self._drained.is_set() and not self._inbox and not self._handed

    # --- the workers' side

    def attach(self, port: Port) -> None:
        """Make a shard known. Nothing to do: a port is met with its first delivery or row."""

    def accepts(self, webhook_id: str) -> bool:
        """Return whether the webhook's lane has room in memory."""
        lane = self._lanes.get(webhook_id)
        if lane is None:
            return True
        held = len(lane.held)
        if held >= MAX_ENTRIES or lane.held_bytes >= MAX_BYTES:
            return False
        core = self._core
        return held < ALWAYS or core is None or held < MAX_TOTAL - core.held

    def submit(self, port: Port, deliveries: list[Delivery]) -> None:
        """Hand deliveries over. Raises Fatal where the engine has failed."""
        if self._failure is not None:
            self._check()
        self._handed.append((port, deliveries))
        if self._idle:
            self._wake()

    def on_disk(self, port: Port, webhook_id: str, rows: int) -> None:
        """Say that this many more committed rows of the webhook are on disk and not in memory."""
        self._tell(lambda core: core.on_disk(port, webhook_id, rows))

    def drop(self, port: Port, rows: list[bytes]) -> None:
        """Forget deliveries that a command removed; PARKED unless they are being sent."""
        self._tell(lambda core: core.drop(port, rows))

    def busy(self) -> bool:
        """Return whether the source should pause: the engine itself is the bottleneck of a fast lane.

        Raises Fatal where the engine has failed: the job must not read on.
        """
        if self._failure is not None:
            self._check()
        core = self._core
        if core is None or core.pressed:
            return core is not None
        backlog = 0
        for _, deliveries in tuple(self._handed):
            backlog += len(deliveries)
        return backlog > BACKLOG

    # --- control

    def configure(self, specs: Mapping[str, LaneSpec]) -> None:
        """Take over new versions of webhooks; one that is not named keeps its last for what is pending."""
        taken = dict(specs)
        self._tell(lambda core: core.configure(taken))

    def enable(self, webhook_id: str) -> None:
        """Send again to a webhook that a 410 or a command disabled."""
        self._tell(lambda core: _halt(core, webhook_id, ""))

    def disable(self, webhook_id: str, *, gone: bool = False) -> None:
        """Send nothing more to a webhook. gone: because of a 410, so a changed definition lifts it."""
        self._tell(lambda core: _halt(core, webhook_id, "gone" if gone else "disabled"))

    def pause(self, webhook_id: str) -> None:
        """Send nothing to a webhook for a while."""
        self._tell(lambda core: _halt(core, webhook_id, "paused"))

    def resume(self, webhook_id: str) -> None:
        """Send again to a paused webhook."""
        self._tell(lambda core: _halt(core, webhook_id, "", only="paused"))

    def retry_now(self, webhook_id: str) -> None:
        """Make everything that waits for the webhook due now."""
        self._tell(lambda core: core.retry_now(webhook_id))

    def stats(self) -> EngineStats:
        """Return the present numbers of every lane; callable from any thread."""
        return engine_stats(
            list(self._lanes.values()), self._core.dispatcher.flying if self._core is not None else 0
        )

    # --- inside: any thread

    def _check(self) -> None:
        if self._failure is not None:
            full = full_disk(self._failure)
            raise full or Fatal(f"the delivery engine failed: {self._failure}") from self._failure

    def _tell(self, command: Callable[[Core], None]) -> None:
        self._check()
        self._inbox.append(command)
        self._wake()

    def _wake(self, force: bool = False) -> None:
        if not self._idle and not force:
            return
        self._idle = False
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._turn)
            except RuntimeError:
                pass  # the loop has just been closed: stop() was called

    # --- inside: the engine's thread

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._main())
        except BaseException as error:
            self._fail(error)
        finally:
            self._started.set()

    async def _main(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        contexts = Contexts()
        resolver = Resolver(self._allow, self._lookup)
        self._stopped = loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        native = NativeClient(self._finished, resolver, contexts)
        self._native = native
        self._clients = _Clients(native, self._finished, resolver, contexts)
        core = self._core = Core(
            self._clock,
            self._clients,
            settler=Settler(self._clock, random.random, self._on_gone),
            secrets=self._secrets,
            contexts=contexts,
            fetch_token=self._fetch_token,
            share=self._share,
            max_flying=self._max_flying,
        )
        self._lanes = core.lanes
        self._idle = True
        self._started.set()
        self._turn()
        try:
            await self._stopped
        finally:
            for task in self._tasks:
                task.cancel()
            for client in self._clients.values():
                await client.close()

    def _finished(self, attempt: Attempt) -> None:
        """A client reports the end of an attempt: settled with the others of this loop turn."""
        self._core.finished.append(attempt)  # type: ignore[union-attr]  # made before any attempt
        if not self._planned:
            self._planned = True
            self._loop.call_soon(self._turn)  # type: ignore[union-attr]  # as above

    def _turn(self) -> None:
        try:
            self._turn_once()
        except BaseException as error:
            self._fail(error)
            if not self._stopped.done():
                self._stopped.set_result(None)

    def _turn_once(self) -> None:
        core, loop = self._core, self._loop
        assert core is not None
        assert loop is not None
        self._planned = self._idle = False
        if self._stopped.done():
            return
        core.dispatcher.flushing = self._deadline is not None
        if self._inbox or self._handed:
            self._drained.clear()
        while self._inbox:
            self._publish_at = min(self._publish_at, self._clock.now() + PUBLISH_SECS)
            self._inbox.popleft()(core)
        while self._handed:
            port, deliveries = self._handed.popleft()
            core.take(port, deliveries)
        core.turn()
        now = self._clock.now()
        publish_due = self._publish(core, now)
        if self._stopping:
            self._stopped.set_result(None)
            return
        deadline = self._deadline
        if deadline is not None:
            nothing_handed = not self._inbox and not self._handed
            if now >= deadline or (nothing_handed and core.is_drained(deadline)):
                self._drained.set()
        # Idle is announced before the last look at the inbox, so that no hand-over can fall in between.
        self._idle = True
        due = core.next_due()
        if self._inbox or self._handed or due == -inf:
            self._idle = False
            if not self._planned:
                self._planned = True
                loop.call_soon(self._turn)
            return
        if deadline is not None:
            due = min(due, deadline)
        due = min(due, publish_due)
        if due < self._timer_at or self._timer is None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due
            self._timer = loop.call_later(max(0.0, due - now), self._on_timer) if due < inf else None

    def _publish(self, core: Core, now: float) -> float:
        """Bring the metrics up to date, of a few lanes per turn: no delivery must wait for all of them.

        Returns when to go on: once a second while something is sent, and once more after that.
        """
        flying = core.dispatcher.flying > 0
        if self._publish_at == inf and flying:
            self._publish_at = now + PUBLISH_SECS
        if self._stopping or (now >= self._publish_at and not self._unpublished):
            self._unpublished = deque(core.lanes.values())
            publish_client(self._native)
            self._publish_at = now + PUBLISH_SECS if flying or self._was_flying else inf
            self._was_flying = flying
        for _ in range(len(self._unpublished) if self._stopping else PUBLISHED_LANES):
            if not self._unpublished:
                return self._publish_at
            publish(self._unpublished.popleft())
        return now + PUBLISH_SECS / 100 if self._unpublished else self._publish_at

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = inf
        self._turn()

    def _fetch_token(self, lane: Lane) -> None:
        task = asyncio.ensure_future(self._ask_token(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_token(self, lane: Lane) -> None:
        token = lane.token
        assert token is not None
        # One that a reload has replaced meanwhile is simply never looked at again.
        try:
            from pipeline.deliver.aiohttp_client import AiohttpClient

            client = self._clients["aiohttp"]
            assert isinstance(client, AiohttpClient)
            secrets = lane.sender.secrets if lane.sender is not None else UsedSecrets(self._secrets)
            value, lifetime = await request_token(token.auth, secrets, client.post)
        except (TokenError, HooklineError, OSError, ValueError) as error:
            count("oauth_tokens_total", webhook=lane.webhook_id, result="error")
            token.failed(self._clock.now())
            lane.tally.error = f"oauth2: {error}"
            log.warning("no oauth2 token", webhook=lane.webhook_id, error=str(error))
        else:
            token.arrived(value, lifetime, self._clock.now())
            count("oauth_tokens_total", webhook=lane.webhook_id, result="ok")
        assert self._core is not None
        self._core.nudge(lane)
        self._turn()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._drained.set()
        if not isinstance(error, asyncio.CancelledError):
            log.error("the delivery engine failed", exc_info=error)


class _Clients(dict[str, Client]):
    """The clients by name; the aiohttp one is made when a webhook first needs it (its import is slow)."""

    def __init__(
        self, native: Client, finished: Callable[[Attempt], None], resolver: Resolver, contexts: Contexts
    ) -> None:
        super().__init__(native=native)
        self._make = (finished, resolver, contexts)

    def __missing__(self, name: str) -> Client:
        from pipeline.deliver.aiohttp_client import AiohttpClient

        client = self[name] = AiohttpClient(*self._make)
        return client


def _halt(core: Core, webhook_id: str, halt: str, only: str | None = None) -> None:
    lane = core.lane(webhook_id)
    if only is None or lane.halt == only:
        lane.halt = halt  # type: ignore[assignment]  # the callers above pass literals of Halt
        core.nudge(lane)
