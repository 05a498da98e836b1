"""One process of a job, from its config to its summary."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig

from pipeline.compile.answers import NEVER_HOLDS
from pipeline.compile.versions import Versions
from pipeline.config.job import PipelineConfig
from pipeline.config.models.installation.source import JsonlSource
from pipeline.decode.framed.schemas import FOLDER
from pipeline.deliver.halts import Halts
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.job.assembly import Job
from pipeline.job.control.drain import Drain
from pipeline.job.control.peers import PeerReporter, Peers
from pipeline.job.flow import build_flow
from pipeline.job.replay import Replay
from pipeline.job.settings import JobSettings
from pipeline.join.known import Known
from pipeline.model.errors import Fatal, HooklineError, StartAnew, machine_fault
from pipeline.model.process.stop import requested, stoppable
from pipeline.model.process.threads import allow_late
from pipeline.outbox.copies.copier import Copier
from pipeline.outbox.copies.copies import open_copies
from pipeline.outbox.quota import Quota
from pipeline.outbox.reading.view import Accounting, accounting
from pipeline.runtime.background.cores import Cores
from pipeline.runtime.background.reload import ConfigWatcher
from pipeline.runtime.background.watchdog import Watchdog
from pipeline.runtime.panics import held_back
from pipeline.runtime.parts import REAL, Parts
from pipeline.runtime.preflight import read_and_compile
from pipeline.runtime.readers import Remembered, with_schemas
from pipeline.runtime.state.crashes import crashes_noted
from pipeline.runtime.state.directory import StateDirectory
from pipeline.runtime.state.patience import Patience
from pipeline.runtime.state.recovery import prepare_recovery, read_tokens
from pipeline.store.warm import start_warming
from pipeline.telemetry import log

GC_THRESHOLD = 50_000
"""Objects between two young collections. A chunk's records are short-lived and free of cycles; with the
default of 700 the collector would walk them in vain."""
END_LATE_SECS = 0.02
"""How late the end of a multi-process job, or a signal, may be noticed."""

_log = log.get("job")


@dataclass(slots=True, frozen=True)
class Cluster:
    """This process's place in a job of several; the defaults are a job of one."""

    process: int = 0
    addresses: tuple[str, ...] = ()

    @property
    def processes(self) -> int:
        """How many processes the job has."""
        return max(1, len(self.addresses))

    @classmethod
    def of_member(cls, text: str) -> Cluster:
        """Return the place given by ``--member``: ``1@127.0.0.1:20000;127.0.0.1:20001``."""
        number, _, addresses = text.partition("@")
        return cls(int(number), tuple(addresses.split(";")))


class Summary(Accounting):
    """The result of a run: the accounting of the state directory's whole life, and this run's figures."""

    events_seen: list[str]
    """The names of the events read in this run."""
    latency_ms: dict[str, float]
    elapsed_secs: float


@contextmanager
def open_job(
    config: PipelineConfig,
    config_dir: Path,
    *,
    cluster: Cluster,
    replay: Replay | None,
    parts: Parts = REAL,
) -> Iterator[tuple[Job, Dataflow]]:
    """Prepare everything and yield the job and its dataflow; everything is closed at the end.

    Raises ConfigError, StateError or Fatal; nothing has been read or sent by then.
    """
    with ExitStack() as stack:
        seen, report = read_and_compile(config, config_dir)
        snapshot = report.require()
        for found in report.findings:
            if found.code == NEVER_HOLDS:
                _log.warning(found.message, file=found.file, line=found.line, remedy=found.hint)
        directory, peers = stack.enter_context(_owned_state(config, cluster))
        halts = Halts(config.state)
        engine = parts.engine(config, config_dir, 1 / cluster.processes, halts.gone)

        def take_over(specs: dict[str, LaneSpec]) -> None:
            engine.orders.configure(specs if replay is None else replay.limit(specs))
            halts.lift({name: spec.definition for name, spec in specs.items()})

        # A replay keeps its dead letters to itself.
        place = open_copies(config.file.dead_letters, config.source) if replay is None else None
        copier = None if place is None else Copier(place)
        if copier is not None:
            stack.callback(copier.close)
        known = None
        if replay is not None and replay.users_of is not None:
            known = Known(replay.users_of)
            stack.callback(known.close)
        given = config.source
        settings = JobSettings(
            state=config.state,
            shards=config.file.shards,
            epoch_secs=config.file.epoch_secs,
            formats=snapshot.formats,
            finite=replay is not None or (isinstance(given, JsonlSource) and not given.follow),
            replay=replay,
            known=known,
            disk_reserve_bytes=config.file.disk_reserve_bytes,
            chunk_lines=parts.chunk_lines,
            sizes=config.file.sizes(),
            dead_letters=Quota(*config.file.dead_letters.quota()),
            clock=parts.clock,
        )
        fires = (lambda webhook_id: True) if replay is None else replay.fires
        versions = Versions(config.state / "versions", snapshot, take_over, fires)
        partitions = read_tokens(config.state / "recovery").get("source", ())
        source, fetcher = with_schemas(
            parts.source(config, replay, snapshot.formats), config, config_dir, snapshot.formats,
            config.state / FOLDER,
        )  # fmt: skip
        job = Job(settings, Remembered(source, partitions), versions, engine, halts, copier, peers)
        job.failure.beneath = directory.taken_away
        if fetcher is not None:
            job.waits = fetcher.waits
            stack.callback(fetcher.close)
        # Closed in reverse order: the engine first, since it reads the stores.
        stack.callback(job.stores.close)
        stack.callback(engine.stop)
        engine.start()
        engine.orders.keep_attempts(job.lookout.attempts)
        if peers is not None:
            stack.callback(PeerReporter(peers, job.tell).stop)
        versions.learn(halts.all())
        halts.restore(engine.orders.halt, {name: spec.definition for name, spec in versions.specs.items()})
        if replay is None and parts.watches:
            watcher = ConfigWatcher(
                config_dir,
                config,
                versions,
                engine.renew_secrets,
                seen=seen,
                is_endless=not settings.finite,
            )
            stack.callback(watcher.stop)
            watcher.start()
            job.config_problems = lambda: watcher.problems
        yield job, build_flow(job)


@contextmanager
def _owned_state(config: PipelineConfig, cluster: Cluster) -> Iterator[tuple[StateDirectory, Peers | None]]:
    """Own the state directory, undo an unfinished epoch; yield the directory and the other processes."""
    name = ";".join(cluster.addresses) if cluster.processes > 1 else ""
    directory = StateDirectory(
        config.state, shards=config.file.shards, job=name, waits=Patience(config.state)
    )
    try:
        ghosts = prepare_recovery(config.state / "recovery", cluster.process)
        if ghosts:
            _log.warning("removed what an unfinished epoch left", rows=ghosts)
        with crashes_noted(config.state, cluster.process):
            if cluster.process == 0:
                start_warming(config.state)
            peers = Peers(config.state, cluster.process, cluster.processes, name) if name else None
            yield directory, peers
    finally:
        directory.close()


def run_job(
    config: PipelineConfig,
    config_dir: Path,
    *,
    cluster: Cluster = Cluster(),
    replay: Replay | None = None,
    observe: Callable[[Job], Callable[[], None]] | None,
    parts: Parts = REAL,
) -> Summary:
    """Run a job to the end of its input or to a signal, and return the summary.

    observe: called with the job when it begins; what it returns is called when it has ended (progress, admin
    socket). Raises what stopped the job: StateError, or Fatal with the first cause (StartAnew where a restart
    is all it takes).
    """
    begun = time.monotonic()
    opened = open_job(config, config_dir, cluster=cluster, replay=replay, parts=parts)
    with opened as (job, flow), stop_on_signals(job.drain):
        done = observe(job) if observe is not None else None
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)
        cores = Cores()
        try:
            with Watchdog(job.pulse, job.drain, job.failure, cores.look).watching():
                _run_flow(job, flow, config, cluster)
        except BaseException as error:
            raise _cause(job, cluster, error) from error
        finally:
            cores.release()
            if done is not None:
                done()
        if job.failure.first is not None:
            raise _cause(job, cluster, job.failure.first)
        if job.drain.anew is not None:
            job.drain.anew.stopping = requested()
            raise job.drain.anew
        stats = job.engine.stats()
    return {
        **accounting(config.state),
        "events_seen": job.event_names.all(),
        "latency_ms": {"p50": stats.p50_ms, "p99": stats.p99_ms},
        "elapsed_secs": round(time.monotonic() - begun, 3),
    }


def _run_flow(job: Job, flow: Dataflow, config: PipelineConfig, cluster: Cluster) -> None:
    """Run the flow to its end; raises whatever Bytewax makes of a step's exception."""
    from bytewax._bytewax import cluster_main, run_main

    recovery = RecoveryConfig(str(config.state / "recovery"))
    interval = timedelta(seconds=config.file.epoch_secs)
    if cluster.processes > 1:
        addresses = list(cluster.addresses)
        # This thread checks every millisecond whether the worker's has ended.
        allow_late(END_LATE_SECS)
        try:
            cluster_main(flow, addresses, cluster.process, epoch_interval=interval, recovery_config=recovery)
        finally:
            allow_late()
        return
    with held_back() as job.failure.on_planned_end:
        run_main(flow, epoch_interval=interval, recovery_config=recovery)


@contextmanager
def stop_on_signals(drain: Drain) -> Iterator[None]:
    """Let the first SIGTERM or SIGINT, even an earlier one, end the job's input.

    A second one ends the process: the next start resumes from the last epoch.
    """

    def stop(number: int) -> None:
        drain.stopping = True
        _log.info("stopping", signal=signal.Signals(number).name, drain_secs=drain.secs)

    with stoppable(stop):
        drain.stopping = drain.stopping or requested()
        yield


def _cause(job: Job, cluster: Cluster, error: BaseException) -> BaseException:
    """Return the error to show: the first one that a step raised, not Bytewax's wrapper."""
    noted = job.failure.first
    first = noted or job.failure.beneath(error) or error
    if isinstance(first, StartAnew):
        first.stopping = job.drain.stopping
    if isinstance(first, (HooklineError, KeyboardInterrupt, SystemExit)):
        return first
    if cluster.processes > 1 and noted is None and "thread panic" in str(first):
        # Bytewax's words for a lost connection to another process.
        return Fatal(f"process {cluster.process} ends because another process of the job is gone")
    return machine_fault(first) or Fatal(f"the job stopped on an unexpected error: {first!r}")
