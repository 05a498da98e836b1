"""One life of the job: its own parts, put together as `runtime/opening.py` does, without a thread."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest

from pipeline.compile import snapshot as snapshot_module
from pipeline.compile import versions as versions_module
from pipeline.compile.versions import Versions
from pipeline.deliver.halts import Halts, Order
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.job import flow
from pipeline.job.assembly import Job
from pipeline.job.commands import execute
from pipeline.job.control.drain import Drain
from pipeline.job.control.failure import Failure
from pipeline.job.control.lull import MOST_SECS, Lull
from pipeline.job.control.pace import Pace
from pipeline.job.control.pressure import Pressure
from pipeline.job.control.pulse import Pulse
from pipeline.job.control.rest import Rest
from pipeline.job.left_requests import Action
from pipeline.job.settings import JobSettings
from pipeline.job.shards import Stores
from pipeline.job.steps import history, shard_step
from pipeline.job.steps.chunks import Intake, Selected
from pipeline.job.steps.shard import Shard
from pipeline.job.steps.source import SourcePartition
from pipeline.join import users
from pipeline.model.errors import Refused
from pipeline.model.files.log_file import LogFile
from pipeline.outbox import outbox
from pipeline.outbox.handover import Result
from pipeline.outbox.journal import Journal
from pipeline.runtime.state.directory import StateDirectory
from pipeline.sources.reader import Source
from pipeline.store import store as store_module
from pipeline.store.store import Store
from tests.kit.delivery.copying import HandCopier
from tests.simulation.bytewax import Bytewax, Operators, Plan
from tests.simulation.disk import Disk, observed
from tests.simulation.engine import HandEngine
from tests.simulation.records import number_of, snapshot
from tests.simulation.world import World

T = TypeVar("T")


class Later:
    """A thread whose work is done when the schedule says so."""

    def __init__(self, target: Callable[..., object], args: tuple[Any, ...] = (), **_: object) -> None:
        self.work: Callable[[], object] | None = lambda: target(*args)

    def start(self) -> None:
        STAGE.life().background.append(self.join)

    def join(self) -> None:
        work, self.work = self.work, None
        if work is not None:
            work()

    def is_alive(self) -> bool:
        return self.work is not None


class CommitThread(Executor):
    """A store's thread: does things in order, at once or when the schedule says so or somebody waits."""

    def __init__(self) -> None:
        self._given: deque[Callable[[], None]] = deque()

    def submit(self, call: Callable[..., T], /, *args: Any, **more: Any) -> Future[T]:
        future: Awaited[T] = Awaited(self)

        def do() -> None:
            try:
                future.set_result(call(*args, **more))
            except Exception as error:
                future.set_exception(error)

        self._given.append(do)
        if STAGE.life().world.luck.random() < 0.5:
            self.shutdown()
        else:
            STAGE.life().background.append(self.do_next)
        return future

    def do_next(self) -> None:
        if self._given:
            self._given.popleft()()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        while self._given:
            self.do_next()


class Awaited(Future[T]):
    """Something given to such a thread."""

    def __init__(self, thread: CommitThread) -> None:
        super().__init__()
        self._thread = thread

    def result(self, timeout: float | None = None) -> T:
        while not self.done():
            self._thread.do_next()
        return super().result()


class AnyPace(Pace):
    """Takes any moment for one shortly before an epoch's end; without luck, which other things go by."""

    def is_ending(self) -> bool:
        return STAGE.life().world.operations % 3 == 0


class Stage:
    """Who is on: the world and the life that this process simulates at the moment."""

    def __init__(self) -> None:
        self.world: World | None = None
        self._life: Life | None = None

    def disk(self) -> Disk | None:
        return self.world.disk if self.world is not None else None

    def life(self) -> Life:
        assert self._life is not None
        return self._life

    def enter(self, life: Life) -> None:
        self.world, self._life = life.world, life

    def leave(self) -> None:
        self.world = None


STAGE = Stage()


class Life:
    """A process from its start to its end. Constructed under `observed` and `on_stage`."""

    def __init__(self, world: World, source: Source, *, chunk_lines: int) -> None:
        self.world = world
        self.background: list[Callable[[], object]] = []
        """What threads would do, sometime."""
        state = world.disk.root
        STAGE.enter(self)
        StateDirectory(state, shards=world.shards)
        halts = Halts(state)
        self.engine = engine = HandEngine(world, halts.gone)

        def take_over(specs: dict[str, LaneSpec]) -> None:
            engine.orders.configure(specs)
            halts.lift({name: spec.definition for name, spec in specs.items()})

        settings = JobSettings(
            state, world.shards, finite=True, disk_reserve_bytes=0, chunk_lines=chunk_lines,
            clock=world.wall_ms,
        )  # fmt: skip
        versions = Versions(state / "versions", snapshot(world.version), take_over)
        stores = Stores(threads=CommitThread)
        self.job = job = Job(
            settings, source, versions, engine, halts, HandCopier(is_done=True), stores=stores,
        )  # fmt: skip
        job.pulse = Pulse(settings.epoch_secs, clock=self.monotonic)
        job.pace = AnyPace(settings.epoch_secs, clock=self.monotonic)
        job.pressure = Pressure(
            engine.busy, state, 0, pace=job.pace, clock=self.monotonic, free=lambda folder: 1
        )
        job.drain = Drain(engine, world.shards, job.partitions, clock=self.monotonic)
        if world.luck.random() < 0.5:  # a worker that rests reads nothing while a chunk walks
            job.rest = Rest(job.drain.is_alone, engine, clock=self.monotonic, sleep=lambda secs: None)
        # Where an epoch may last longer, its source polls itself a few times.
        ticks = count(step=MOST_SECS / 4)
        job.lull = Lull(job.is_quiet, clock=lambda: world.now + next(ticks))
        engine.start()
        versions.learn(halts.all())
        halts.restore(engine.orders.halt, {name: spec.definition for name, spec in versions.specs.items()})
        self.bytewax = Bytewax(cast(Plan, flow.build_flow(job)), world.tokens, world.luck)
        for partition in self.partitions:
            partition.select = self._noted(partition.select)

    def monotonic(self) -> float:
        return self.world.now

    @property
    def partitions(self) -> list[SourcePartition]:
        return list(self.bytewax.partitions.values())

    def shards(self) -> list[Shard]:
        """Return the open shards, in order."""
        live = self.job.shards._live
        return [live[number] for number in sorted(live)]

    def _noted(
        self, select: Callable[[Intake], list[tuple[str, Selected]]]
    ) -> Callable[[Intake], list[tuple[str, Selected]]]:
        """Return the same selection, which notes every line of which something may leave the source."""

        def noted(intake: Intake) -> list[tuple[str, Selected]]:
            raw = intake.raw
            if raw is not None:
                begin = raw.position[1] - len(raw)
                for index, offset in enumerate(raw.offsets):
                    source = raw.sources if isinstance(raw.sources, str) else raw.sources[index]
                    self.world.emits(
                        intake.partition, begin + index, source, offset, number_of(intake.config)
                    )
            return select(intake)

        return noted

    # --- what people do with a running job

    def edit(self, version: int) -> None:
        """Edit the config files, which the job takes over."""
        self.world.version = version
        self.job.versions.install(snapshot(version))

    def ask(self, action: Action, keys: list[bytes]) -> None:
        """Give a command to the shards."""

        def do(shard: Shard) -> None:
            execute(shard, action, keys)

        self.job.shards.ask(do)

    def order(self, webhook_id: str, order: Order) -> None:
        """Stop sending to a webhook, or send again: it is so when this returns."""
        is_gone = self.job.halts.get(webhook_id)[0] == "gone"  # a receiver of the world answered 410
        if order == "pause" and (is_gone or self.world.halted.get(webhook_id) == "disable"):
            with pytest.raises(Refused):  # it would take the place of what only `enable` ends
                self.job.halts.obey(webhook_id, order)
            return
        if order == "enable":
            self.world.halted.pop(webhook_id, None)
        self.job.halts.obey(webhook_id, order)
        self.engine.orders.obey(webhook_id, order)
        if order != "enable":
            self.world.halted[webhook_id] = order

    # --- the end

    def close(self) -> None:
        """End cleanly, as `open_job` does."""
        self.bytewax.close()
        self.engine.stop()
        self.job.stores.close()


def _later(log: LogFile) -> None:
    STAGE.life().background.append(log._sync)


def _order_is_kept(log: LogFile) -> None:
    if STAGE.world is not None:
        STAGE.world.order_is_kept(log._path.parent.name)


def _step(name: str) -> None:
    disk = STAGE.disk()
    if disk is not None:
        disk.step(name)


@contextmanager
def on_stage() -> Iterator[pytest.MonkeyPatch]:
    """Let the product's threads and clocks be those of the world on stage."""
    commit, undo, append = Store._end, Store._undo_epoch, Journal.append

    def commit_once(store: Store, txn: Any, begun: float) -> float:
        _step("commit")
        return commit(store, txn, begun)

    def undo_once(store: Store, seq: int) -> None:
        _step("undo")
        undo(store, seq)

    def append_once(journal: Journal, results: list[Result], now_ms: int) -> None:
        append(journal, results, now_ms)
        world = STAGE.world
        if world is not None:
            world.journalled(results, journal._generation)

    compiled = snapshot_module.compile_config

    def compile_once(text: Any, **more: Any) -> Any:
        try:
            return SimpleNamespace(snapshot=snapshot(number_of(text.hash)))
        except StopIteration:
            return compiled(text, **more)

    begin, sync = LogFile.__init__, LogFile._sync

    def begin_once(log: LogFile, path: Path, data: bytes) -> None:
        begin(log, path, data)
        _order_is_kept(log)

    def sync_once(log: LogFile) -> None:
        sync(log)
        _order_is_kept(log)

    with observed(STAGE.disk) as patch:
        patch.setattr(LogFile, "__init__", begin_once)
        patch.setattr(LogFile, "_sync", sync_once)
        patch.setattr(Store, "_end", commit_once)
        patch.setattr(Store, "_undo_epoch", undo_once)
        patch.setattr(Journal, "append", append_once)
        patch.setattr(LogFile, "_wake", _later)
        patch.setattr(history, "threading", SimpleNamespace(Thread=Later))
        patch.setattr(history, "LEAST_AHEAD", 3)
        patch.setattr(history, "boot_id", lambda: STAGE.life().world.boot)
        patch.setattr(outbox, "ABSORB", 3)
        patch.setattr(shard_step, "PREPARE_RECORDS", 2)
        patch.setattr(users, "SOME", 1)
        patch.setattr(store_module, "EARLY_USERS", 1)
        patch.setattr(versions_module, "compile_config", compile_once)
        patch.setattr(flow, "op", Operators())
        patch.setattr(flow, "Dataflow", Plan)
        patch.setattr(Failure, "note", lambda failure, error: None)
        logging.disable()
        try:
            yield patch
        finally:
            logging.disable(logging.NOTSET)
