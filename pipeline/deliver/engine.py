"""The delivery engine: a thread with a uvloop event loop around `Core`.

Workers append to an inbox and wake the loop only when it is idle; the engine reports back only through
`Port.post` and through numbers that they read. Bytewax must never wait: no method here blocks but `drain`,
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

from pipeline.deliver.alarm import Alarm
from pipeline.deliver.core import Core
from pipeline.deliver.http.attempt import Attempt, Client
from pipeline.deliver.http.choose import Clients, connection_limit, most_open
from pipeline.deliver.http.guard import Network, parse_allow
from pipeline.deliver.http.resolve import Lookup, Resolver, system_lookup
from pipeline.deliver.http.tls import Contexts
from pipeline.deliver.http.trust import Trust
from pipeline.deliver.lanes.access_tokens import Tokens
from pipeline.deliver.lanes.clock import Clock
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.lanes.limits.pressure import BACKLOG, is_at_ease
from pipeline.deliver.lanes.limits.room import room
from pipeline.deliver.lanes.settling import Settler
from pipeline.deliver.orders import Orders
from pipeline.deliver.stats import EngineStats, Publisher, engine_stats
from pipeline.language.secrets import Secrets
from pipeline.model.errors import Fatal, HooklineError, machine_fault
from pipeline.outbox.handover import Delivery, Port, Room
from pipeline.telemetry.log import get

log = get(__name__)

EASE_SECS = 0.010
"""How long a success may wait to be settled with others, if nothing waits for it. A turn after half of that
time settles them along."""
CLOSING_SECS, CLOSING_SHARE = 2.0, 0.2
"""The end of draining, in which nothing new is sent: at most this long, and at most this fraction of the
time."""


class DeliveryEngine:
    """One per process; see `outbox.handover.Engine` for what the shards call.

    allow: networks that the guard allows, as CIDR texts. share: this process's part of every rate and
    concurrency, 1/N. on_gone: called (by the engine's thread) with webhook id and definition when a 410
    answer disables a webhook, so that it is remembered across restarts.
    """

    publishing: type[Publisher] = Publisher  # updates the metrics

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        secrets: Secrets | None = None,
        share: float = 1.0,
        on_gone: Callable[[str, str], None] = lambda webhook_id, definition: None,
        clock: Clock | None = None,
        max_flying: int | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        self.orders = Orders(self._tell)
        self._allow: tuple[Network, ...] = parse_allow(allow)
        self._secrets = secrets if secrets is not None else Secrets()
        self._contexts = Contexts(self._secrets.place)
        self._share = share
        self._on_gone = on_gone
        self._clock = clock if clock is not None else Clock()
        self._trust = Trust(self._clock.now)
        self._max_flying = max_flying if max_flying is not None else connection_limit()
        self._lookup = lookup
        self._inbox: deque[Callable[[Core], None]] = deque()
        self._handed: deque[list[Delivery]] = deque()
        self._idle = self._stopping = self._holding = self._planned = False
        self._deadline: float | None = None
        self._close_at = inf
        self._drained, self._started = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._core: Core | None = None
        self._lanes: Mapping[str, Lane] = {}
        self._clients: dict[str, Client] = {}

    # --- life

    def start(self) -> None:
        """Start the thread; returns when the engine accepts requests."""
        self._thread = threading.Thread(target=self._run, name="deliver", daemon=True)
        self._thread.start()
        self._started.wait()
        self._check()

    def stop(self) -> None:
        """Abort requests in flight without results, and end the thread. What is not settled stays owed."""
        thread = self._thread
        if thread is None:
            return
        self._stopping = True
        self._wake(force=True)
        thread.join()
        self._thread = None

    def drain(self, deadline_secs: float) -> bool:
        """Wait until nothing more can complete within the time; True where nothing is owed any more.

        Returns early if the rest is not due in time, halted, or waits for a commit. Batches go as they are.
        """
        self._check()
        if self._thread is None:
            return False
        self.begin_drain(deadline_secs)
        self._drained.wait(deadline_secs + 1.0)
        self._deadline, self._close_at = None, inf
        self._check()
        return self._core is not None and self._core.is_empty()

    def begin_drain(self, deadline_secs: float) -> None:
        """Start what `drain` waits for: batches go as they are; `is_drained` tells when it is over.

        The last part of the time is for answers alone: a request that is cut off would be sent again later.
        """
        self._check()
        self._drained.clear()
        deadline = self._clock.now() + deadline_secs
        self._close_at = min(self._close_at, deadline - min(CLOSING_SECS, deadline_secs * CLOSING_SHARE))
        self._deadline = deadline
        self._wake(force=True)

    def is_drained(self) -> bool:
        """Return whether nothing more can complete before the deadline of `begin_drain`. Never blocks.

        Rows that a shard has yet to commit are unknown here: the caller must ask the shards.
        """
        self._check()
        return self._drained.is_set() and not self._inbox and not self._handed

    # --- the workers' side

    def accepts(self, webhook_id: str) -> Room:
        """Return whether the webhook's lane has room in memory."""
        lane = self._lanes.get(webhook_id)
        if lane is None:
            return Room.SOME
        core: Core = self._core  # type: ignore[assignment]  # there is a lane
        return room(lane, core.held, core.held_bytes)

    def submit(self, deliveries: list[Delivery]) -> None:
        """Hand deliveries over. Raises Fatal where the engine has failed."""
        if self._failure is not None:
            self._check()
        self._handed.append(deliveries)
        if self._idle and not self._holding:
            self._wake()

    def hold(self, *, few: bool) -> None:
        """Do not wake the thread for hand-overs until `release`: more are about to come.

        few: little has come, so the worker keeps up with the source.
        """
        self._holding = True
        if few and self._core is not None:
            self._core.gathers = True

    def release(self) -> None:
        """Wake the thread once for everything handed over since `hold`."""
        self._holding = False
        if self._handed and self._idle:
            self._wake()

    def busy(self) -> bool:
        """Return whether the source should pause: the engine itself is the bottleneck of a fast lane.

        Raises Fatal where the engine has failed: the job must not read on.
        """
        if self._failure is not None:
            self._check()
        core = self._core
        if core is None:
            return False
        waits = bool(core.pressed)
        if not waits and self._handed:
            waits = sum(map(len, tuple(self._handed))) > BACKLOG
        core.waits += 1 if waits else -1
        return waits

    def on_disk(self, port: Port, webhook_id: str, rows: int) -> None:
        """Report that this many more committed rows of the webhook are on disk and not in memory."""
        self._tell(lambda core: core.on_disk(port, webhook_id, rows))

    def drop(self, port: Port, rows: list[bytes]) -> None:
        """Forget deliveries that a command drops, unless they are being sent; answers `Port.released`."""
        self._tell(lambda core: core.drop(port, rows, self._handed))

    # --- control

    def renew_secrets(self) -> bool:
        """Check for changed secret and certificate files; further requests use the new contents.

        Costs a `stat` per file; callable from any thread, one at a time.
        """
        changed = [self._secrets.reread(), self._contexts.changed()]
        if any(changed):
            self._tell(Core.renew)
        return any(changed)

    def stats(self) -> EngineStats:
        """Return the present numbers of every lane; callable from any thread."""
        core = self._core
        return engine_stats(list(self._lanes.values()), core.dispatcher.flying if core else 0, self._trust)

    # --- inside: any thread

    def _check(self) -> None:
        failure = self._failure
        if isinstance(failure, HooklineError):
            raise failure
        if failure is not None:
            raise machine_fault(failure) or Fatal(f"the delivery engine failed: {failure}") from failure

    def _tell(self, order: Callable[[Core], None]) -> None:
        self._check()
        self._inbox.append(order)
        self._wake()

    def _wake(self, force: bool = False) -> None:
        if not self._idle and not force:
            return
        self._idle = False
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._turn)
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
        resolver = Resolver(self._allow, self._lookup, most_open(self._max_flying))
        self._stopped = loop.create_future()
        clients = Clients(self._finished, resolver, self._contexts, self._trust, self._max_flying)
        self._clients, self._publisher = clients, self.publishing(clients.native)
        settler = Settler(self._clock, random.random, self._on_gone)
        tokens = Tokens(self._clients, self._clock, settler, self._token_answered)
        core = self._core = Core(
            self._clock,
            self._clients,
            settler=settler,
            secrets=self._secrets,
            contexts=self._contexts,
            fetch_token=tokens.fetch,
            share=self._share,
            max_flying=self._max_flying,
        )
        self._lanes = core.lanes
        self._turns, self._eased = Alarm(loop, self._turn), Alarm(loop, self._settle)
        self._idle = True
        self._started.set()
        self._turn()
        try:
            await self._stopped
        finally:
            tokens.close()
            for client in self._clients.values():
                await client.close()

    def _finished(self, attempt: Attempt) -> None:
        """A client reports the end of an attempt: settle it with others, at least those of this loop turn."""
        core: Core = self._core  # type: ignore[assignment]  # made before any attempt
        if self._deadline is None and is_at_ease(attempt):
            now = attempt.ended_at = self._clock.now()
            if core.ease(attempt, now + EASE_SECS / 2):
                # Not at the time set for earlier ones: turns have settled those meanwhile.
                self._eased.anew(now + EASE_SECS, now)
            return
        core.finished.append(attempt)
        if not self._planned:
            self._planned = True
            self._loop.call_soon(self._turn)  # type: ignore[union-attr]  # as above

    def _settle(self) -> None:
        if self._core.eased and not self._planned:  # type: ignore[union-attr]  # made before any attempt
            self._turn()

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
        core.flush(self._deadline is not None)
        if (self._inbox or self._handed) and self._drained.is_set():
            self._drained.clear()
        while self._inbox:
            self._publisher.wanted(self._clock.now())
            self._inbox.popleft()(core)
        core.take_all(self._handed)
        core.dispatcher.closed = self._deadline is not None and self._clock.now() >= self._close_at
        if self._stopping:
            core.finish()
        else:
            core.turn()
        now = self._clock.now()
        publish_due = self._publisher.run(core.lanes, core.dispatcher.flying, now, all_now=self._stopping)
        if self._stopping:
            self._stopped.set_result(None)
            return
        deadline = self._deadline
        nothing_handed = not self._inbox and not self._handed
        if deadline is not None and (now >= deadline or (nothing_handed and core.is_drained(deadline))):
            self._drained.set()
        # Idle is announced before the last look at the inbox: no hand-over can fall in between.
        self._idle = True
        due = core.next_due()
        if self._inbox or self._handed or due == -inf:
            self._idle = False
            if not self._planned:
                self._planned = True
                loop.call_soon(self._turn)
            return
        if deadline is not None and deadline > now:
            due = min(due, deadline, self._close_at if self._close_at > now else inf)
        self._turns.by(min(due, publish_due), now)

    def _token_answered(self, lane: Lane) -> None:
        self._core.nudge(lane)  # type: ignore[union-attr]  # made before any lane
        self._turn()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._drained.set()
        # Errors of ours are reported by whoever calls the engine next.
        if not isinstance(error, asyncio.CancelledError | HooklineError):
            log.error("the delivery engine failed", exc_info=error)
