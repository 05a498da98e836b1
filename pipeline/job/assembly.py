"""The parts of one process of a job, assembled once and handed to whoever runs or queries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.compile.versions import Versions
from pipeline.deliver.halts import Halts
from pipeline.deliver.orders import Orders
from pipeline.deliver.stats import EngineStats
from pipeline.job.committed import Committed
from pipeline.job.control.doze import Doze
from pipeline.job.control.drain import Drain, Sending
from pipeline.job.control.failure import Failure
from pipeline.job.control.lull import Lull
from pipeline.job.control.pace import Pace
from pipeline.job.control.peers import Peers
from pipeline.job.control.pressure import Pressure
from pipeline.job.control.pulse import Pulse
from pipeline.job.control.rest import Gathering, Rest
from pipeline.job.control.skew import Skew
from pipeline.job.event_names import EventNames
from pipeline.job.settings import JobSettings
from pipeline.job.shards import Shards, Stores
from pipeline.job.steps.shard import Shard
from pipeline.job.tap.lookout import Lookout
from pipeline.model.errors import HooklineError
from pipeline.outbox.dead_letters import Copying
from pipeline.outbox.handover import Engine
from pipeline.sources.reader import Source


class DeliveryService(Engine, Sending, Gathering, Protocol):
    """The delivery engine as the rest of the process sees it; tests substitute another one. Thread-safe."""

    orders: Orders

    def start(self) -> None:
        """Start sending."""

    def busy(self) -> bool:
        """True while requests come faster than they can be sent."""

    def renew_secrets(self) -> bool:
        """Use files of secrets and certificates as they are now; True if any has changed."""

    def stats(self) -> EngineStats:
        """The present numbers of every webhook."""


@dataclass(slots=True)
class Job:
    """The parts of one process of a running job; every step takes only those that it needs."""

    settings: JobSettings
    source: Source
    versions: Versions
    engine: DeliveryService
    halts: Halts
    copier: Copying | None = None
    """Copies dead letters; None: nobody does."""
    peers: Peers | None = None
    """The other processes of the job; None where there are none."""
    config_problems: Callable[[], str] = lambda: ""
    """What is wrong with the present config files; "" where they are what runs."""
    waits: Callable[[], str] = lambda: ""
    """Why records wait for something external, except brokers; "" where none do."""
    failure: Failure = field(default_factory=Failure)
    stores: Stores = field(default_factory=Stores)
    shards: Shards[Shard] = field(default_factory=Shards)
    committed: Committed = field(default_factory=Committed)
    bytes_read: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Source partition to bytes read durably and bytes in all (0: unknown)."""
    event_names: EventNames = field(default_factory=EventNames)
    lookout: Lookout = field(default_factory=Lookout)
    partitions: list[str] = field(default_factory=list)
    """The source partitions of the whole job, once the source has listed them."""
    pulse: Pulse = field(init=False)
    pace: Pace = field(init=False)
    pressure: Pressure = field(init=False)
    drain: Drain = field(init=False)
    rest: Rest = field(init=False)
    lull: Lull = field(init=False)

    def __post_init__(self) -> None:
        """Create the parts that depend on others."""
        settings, engine, peers = self.settings, self.engine, self.peers
        self.lookout.taps.let_look = engine.orders.let_look
        self.pulse = Pulse(settings.epoch_secs)
        self.pace = Pace(settings.epoch_secs, skew=None if peers is None else Skew(settings.epoch_secs))
        self.pressure = Pressure(
            engine.busy, settings.state, settings.disk_reserve_bytes, others=peers, pace=self.pace
        )
        self.drain = Drain(
            engine,
            settings.shards,
            self.partitions,
            secs=settings.drain_secs,
            stop_secs=settings.stop_drain_secs,
            others=peers,
        )
        self.rest = Rest(self.drain.is_alone, engine, doze=None if peers is None else Doze())
        self.lull = Lull(self.is_quiet)

    def is_quiet(self) -> bool:
        """Return whether nothing can come but from a single source partition, and from people."""
        return len(self.partitions) == 1 and all(shard.is_quiet for shard in self.shards.all())

    def tell(self) -> tuple[bool, int]:
        """Return what the other processes must know: whether this one is behind, and its drained shards."""
        if self.failure.first is not None or self.drain.finished:
            return False, 0
        try:
            return self.pressure.is_behind(), self.drain.drained_shards()
        except HooklineError:
            return False, 0  # the engine has failed: a worker raises that
