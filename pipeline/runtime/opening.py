"""Everything that one process of a job is made of: opened in order, closed in reverse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bytewax.dataflow import Dataflow

from pipeline.compile.answers import NEVER_HOLDS
from pipeline.compile.versions import Versions
from pipeline.config.job import PipelineConfig
from pipeline.config.models.installation.source import JsonlSource
from pipeline.decode.formats import Formats
from pipeline.decode.framed.schemas import FOLDER
from pipeline.deliver.halts import Halts
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.job.assembly import Job
from pipeline.job.control.peers import PeerReporter, Peers
from pipeline.job.flow import build_flow
from pipeline.job.replay import Replay
from pipeline.job.settings import JobSettings
from pipeline.join.known import Known
from pipeline.outbox.copies.copier import Copier
from pipeline.outbox.copies.copies import open_copies
from pipeline.outbox.quota import Quota
from pipeline.runtime.background.reload import ConfigWatcher
from pipeline.runtime.parts import REAL, Parts
from pipeline.runtime.preflight import read_and_compile
from pipeline.runtime.readers import Remembered, with_schemas
from pipeline.runtime.state.crashes import crashes_noted
from pipeline.runtime.state.directory import StateDirectory
from pipeline.runtime.state.patience import Patience
from pipeline.runtime.state.recovery import prepare_recovery, read_tokens
from pipeline.store.warm import start_warming
from pipeline.telemetry import log

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


ALONE = Cluster()
"""A job of one process."""


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

        copier = _open_copier(config, replay, stack)
        settings = _settings(config, snapshot.formats, replay, _open_known(replay, stack), parts)
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


def _open_copier(config: PipelineConfig, replay: Replay | None, stack: ExitStack) -> Copier | None:
    """Return what copies dead letters, where that is configured; a replay keeps its own to itself."""
    place = open_copies(config.file.dead_letters, config.source) if replay is None else None
    if place is None:
        return None
    copier = Copier(place)
    stack.callback(copier.close)
    return copier


def _open_known(replay: Replay | None, stack: ExitStack) -> Known | None:
    """Return the users whom another job knows, for a replay that joins with them."""
    if replay is None or replay.users_of is None:
        return None
    known = Known(replay.users_of)
    stack.callback(known.close)
    return known


def _settings(
    config: PipelineConfig, formats: Formats, replay: Replay | None, known: Known | None, parts: Parts
) -> JobSettings:
    source = config.source
    return JobSettings(
        state=config.state,
        shards=config.file.shards,
        epoch_secs=config.file.epoch_secs,
        formats=formats,
        finite=replay is not None or (isinstance(source, JsonlSource) and not source.follow),
        replay=replay,
        known=known,
        disk_reserve_bytes=config.file.disk_reserve_bytes,
        chunk_lines=parts.chunk_lines,
        sizes=config.file.sizes(),
        dead_letters=Quota(*config.file.dead_letters.quota()),
        clock=parts.clock,
    )
