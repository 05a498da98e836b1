"""What the steps of one process share: the job's parts and its flags."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pipeline.compile.versions import Versions
from pipeline.deliver.stats import EngineStats
from pipeline.job.peers import Peers
from pipeline.job.replay import Replay
from pipeline.model.errors import HooklineError, Stopped, full_disk
from pipeline.outbox.handover import Engine
from pipeline.sources.reader import Source
from pipeline.store.store import Store
from pipeline.telemetry import log

_log = log.get("job")


class DeliveryService(Engine, Protocol):
    """The delivery engine as the steps see it."""

    def begin_drain(self, deadline_secs: float) -> None:
        """Begin to send what can be sent before the deadline."""

    def is_drained(self) -> bool:
        """True where nothing more can complete before that deadline."""

    def retry_now(self, webhook_id: str) -> None:
        """Make everything that waits for a webhook due now."""

    def enable(self, webhook_id: str) -> None:
        """Send to a webhook again."""

    def disable(self, webhook_id: str, *, gone: bool = False) -> None:
        """Send nothing more to a webhook."""

    def pause(self, webhook_id: str) -> None:
        """Send nothing to a webhook for a while."""

    def resume(self, webhook_id: str) -> None:
        """Send to a webhook again where it is paused."""

    def renew_secrets(self) -> bool:
        """Use files of secrets and certificates as they are now; True if any has changed."""

    def stats(self) -> EngineStats:
        """The present numbers of every webhook."""

    def busy(self) -> bool:
        """True while the source should pause: requests come faster than they can be sent."""

    def drain(self, deadline_secs: float) -> bool:
        """Send what can be sent before the deadline."""

    def stop(self) -> None:
        """End the engine; what is in flight is aborted and stays owed."""


class Guard:
    """Notes what a step raises. One object for all steps: each chunk passes a dozen of them."""

    __slots__ = ("_fail",)

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        self._fail = fail

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Note an exception and let it go on."""
        if error is None:
            return
        self._fail(error)
        if isinstance(error, StopIteration):
            # Bytewax would take a stray one for the end of the input, and the job would end silently.
            raise RuntimeError("a step raised StopIteration") from error


@dataclass(slots=True)
class Job:
    """One process of a running job."""

    state: Path
    shards: int
    epoch_secs: float
    format: str
    readers: Source
    versions: Versions
    engine: DeliveryService
    finite: bool
    """True for a recording that ends: nobody else waits for it."""
    stretch: int = 1
    """How many usual chunks are read as one, while little of what is read goes on (job/steps/select.py)."""
    workers: set[int] = field(default_factory=set)
    """Threads of this process that have shards."""
    drain_secs: float = 30.0
    stop_drain_secs: float = 5.0
    disk_reserve_bytes: int = 256 << 20
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    """Unix milliseconds; for the wall-clock facts of deliveries only."""
    stopping: bool = False
    """Set by a signal: sources end, the job stops cleanly."""
    full: set[tuple[int, str]] = field(default_factory=set)
    """(shard, webhook) pairs at `max_pending` whose webhook says `on_full: pause`."""
    failure: BaseException | None = None
    """The first exception of a step; Bytewax may lose it."""
    on_planned_end: Callable[[], None] = lambda: None
    """Called when that exception is one of ours, and logged."""
    records: dict[str, dict[str, int]] = field(default_factory=dict)
    """Committed counters of the identity keys of this process."""
    accounts: dict[int, dict[str, int]] = field(default_factory=dict)
    """Committed counters of the shards of this process."""
    replay: Replay | None = None
    """What a replay fires; None: this is the live job."""
    on_build: Callable[[Any], list[Path]] = lambda shard: []
    """Called with each shard when it is open; returns files to delete once its second epoch begins."""
    commands: dict[int, deque[Callable[[Any], None]]] = field(default_factory=dict)
    """What the admin socket asks of a shard; run by its worker thread."""
    stores: list[Store] = field(default_factory=list)
    """The open stores of this process."""
    shards_here: dict[int, Any] = field(default_factory=dict)
    """The shards that this process owns."""
    source_bytes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Partition to bytes read and bytes in all (0: unknown), for the progress line."""
    copies: Any = None
    """Where dead letters are copied to; None: nowhere."""
    partitions: list[str] = field(default_factory=list)
    """The source partitions of the whole job, once the source has listed them."""
    ended: set[tuple[int, str]] = field(default_factory=set)
    """(shard, source partition) pairs: the shard has everything that the partition will bring."""
    peers: Peers | None = None
    """The other processes of the job; None where there are none."""
    config_problems: Callable[[], str] = lambda: ""
    """What is wrong with the config files as they are now; "" where they are what runs."""
    _drain_by: float = math.inf
    _drained: bool = False
    _at_end: set[int] = field(default_factory=set)
    """Workers that have no input any more."""
    _stopped: threading.Event = field(default_factory=threading.Event)
    _misrouted: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        """Make the guard of the steps."""
        self._guard = Guard(self.fail)

    def fail(self, error: BaseException) -> None:
        """Keep and log the first failure of a step: in a cluster the exception itself is lost."""
        with self._lock:
            if self.failure is not None:
                return
            self.failure = error
        known = full_disk(error) or error
        if isinstance(known, Stopped):
            self.on_planned_end()
        elif isinstance(known, HooklineError):
            _log.error("stopping", reason=str(known))
            self.on_planned_end()
        else:
            _log.error("stopping on an unexpected error", reason=repr(error), exc_info=error)

    def guard(self) -> Guard:
        """Note what a step raises before Bytewax takes it."""
        return self._guard

    def warn_misrouted(self) -> None:
        """Say once that the topics are not co-partitioned."""
        if not self._misrouted:
            self._misrouted = True
            _log.warning(
                "users are written from more than one partition: the topics are not co-partitioned by user, "
                "and the as-of join is best effort"
            )

    def take_commands(self, shard: int) -> Iterator[Callable[[Any], None]]:
        """Yield the commands that wait for a shard."""
        waiting = self.commands.get(shard)
        while waiting:
            yield waiting.popleft()

    def paused(self) -> bool:
        """True while sources must not read on: an engine is behind, or a webhook is full and says so."""
        return self.is_behind() or (self.peers is not None and self.peers.paused())

    def is_behind(self) -> bool:
        """True while this process has enough to do; it says so to the others."""
        return self.engine.busy() or bool(self.full)

    def close(self) -> None:
        """Close the stores of this process."""
        for store in self.stores:
            store.close()
        self.stores.clear()

    def is_drained(self) -> bool:
        """Return whether a source may end: what was read has been sent, or cannot be in time.

        Asked again and again once there is nothing more to read; epochs go on meanwhile, so that rows on
        disk come back. The first call starts the deadline, a signal shortens it.
        """
        if not self.stopping and not self.has_all():
            return False
        self._begin_drain()
        if time.monotonic() >= self._drain_by:
            return True
        own = self.drained_shards()
        if self.peers is None:
            return own == self.shards
        return self.has_all() and own == len(self.shards_here) and self.peers.are_drained(own, self.shards)

    def tell(self) -> tuple[bool, int]:
        """Return what the other processes must know: whether this one is behind, and its drained shards."""
        if self.failure is not None or self._drained:
            return False, 0
        try:
            return self.is_behind(), self.drained_shards()
        except HooklineError:
            return False, 0  # the engine has failed: a worker raises that

    def has_all(self) -> bool:
        """Return whether every source partition has ended and all it brought is with its shard here."""
        return len(self.ended) == len(self.shards_here) * len(self.partitions)

    def drained_shards(self) -> int:
        """Return how many shards of this process have nothing more to do before the deadline."""
        shards = list(self.shards_here.values())
        if not shards or not self.has_all():
            return 0
        self._begin_drain()
        if any(shard.outbox.waits_for_commit for shard in shards) or not self.engine.is_drained():
            return 0
        return len(shards)

    def _begin_drain(self) -> None:
        secs = self.stop_drain_secs if self.stopping else self.drain_secs
        with self._lock:
            if time.monotonic() + secs >= self._drain_by:
                return
            self._drain_by = time.monotonic() + secs
        self.engine.begin_drain(secs)

    def drain(self) -> None:
        """Finish what can be finished, then end the engine; once per process, before its last epoch.

        Each worker calls it for each of its shards; the first call of a worker waits for the other workers.
        """
        with self._lock:
            if threading.get_ident() in self._at_end:
                return
            self._at_end.add(threading.get_ident())
            last = self._at_end >= self.workers
        if not last:
            self._stopped.wait(self.drain_secs)
            return
        self._drained = True
        secs = self.stop_drain_secs if self.stopping else self.drain_secs
        self.engine.drain(max(0.0, min(secs, self._drain_by - time.monotonic())))
        self.engine.stop()
        self._stopped.set()
