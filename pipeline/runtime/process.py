"""One process of a job, from its config to its summary."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig

from pipeline.config.job import PipelineConfig
from pipeline.job.assembly import Job
from pipeline.job.control.drain import Drain
from pipeline.job.replay import Replay
from pipeline.model.errors import Fatal, HooklineError, StartAnew, machine_fault
from pipeline.model.process.stop import requested, stoppable
from pipeline.model.process.threads import allow_late
from pipeline.outbox.reading.view import Accounting, accounting
from pipeline.runtime.background.cores import Cores
from pipeline.runtime.background.watchdog import Watchdog
from pipeline.runtime.opening import ALONE, Cluster, open_job
from pipeline.runtime.panics import held_back
from pipeline.runtime.parts import REAL, Parts
from pipeline.telemetry import log

GC_THRESHOLD = 50_000
"""Objects between two young collections. A chunk's records are short-lived and free of cycles; with the
default of 700 the collector would walk them in vain."""
END_LATE_SECS = 0.02
"""How late the end of a multi-process job, or a signal, may be noticed."""

_log = log.get("job")


class Summary(Accounting):
    """The result of a run: the accounting of the state directory's whole life, and this run's figures."""

    events_seen: list[str]
    """The names of the events read in this run."""
    latency_ms: dict[str, float]
    elapsed_secs: float


def run_job(
    config: PipelineConfig,
    config_dir: Path,
    *,
    cluster: Cluster = ALONE,
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
