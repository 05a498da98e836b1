"""The job under Bytewax's own runner, on one host or several (``python -m bytewax.run -i 0 -a "..."``)."""

from __future__ import annotations

import atexit
import dataclasses
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

from bytewax.dataflow import Dataflow
from bytewax.run import _parse_args

from pipeline.config.job import load_pipeline
from pipeline.job.assembly import Job
from pipeline.job.replay import Replay
from pipeline.model.errors import Fatal, HooklineError, StartAnew, UsageError
from pipeline.model.process.private import keep_private
from pipeline.model.process.standard import open_standard
from pipeline.model.process.stop import requested
from pipeline.model.process.variables import trim_variables
from pipeline.runtime.background.watchdog import Watchdog
from pipeline.runtime.opening import Cluster, open_job
from pipeline.runtime.process import stop_on_signals
from pipeline.runtime.reexec import reexec
from pipeline.runtime.state.lives import known_lives
from pipeline.runtime.state.resend import refuse_without_consent
from pipeline.telemetry import log

Observe: TypeAlias = Callable[[Job, int], Callable[[], None]]

RECOVERY = "BYTEWAX_RECOVERY_DIRECTORY"
INTERVAL = "BYTEWAX_SNAPSHOT_INTERVAL"
BACKUP = "BYTEWAX_RECOVERY_BACKUP_INTERVAL"

NO = ("", "0", "false", "no")
"""Values of HOOKLINE_YES that mean no."""


def prepare(replay: Replay | None = None, observe: Observe | None = None) -> Dataflow:
    """Return the dataflow of this process, ready for the runner; it is closed when the process exits.

    observe: called with the job and the process's number; what it returns is called at the end. Errors of the
    config or the state end the process, with a message and the exit code of `hookline run`. Without a
    recovery store nothing could be resumed, and Bytewax reads its location before this is called: if none was
    given, the process re-executes itself with the job's own.
    """
    try:
        return _prepare(replay, observe)
    except HooklineError as error:
        print(error.shown(), file=sys.stderr)
        sys.exit(error.exit_code)


def _prepare(replay: Replay | None, observe: Observe | None) -> Dataflow:
    trim_variables()
    open_standard()
    keep_private()
    config_dir = Path(os.environ.get("HOOKLINE_CONFIG", "config"))
    config = load_pipeline(config_dir, check_source=True, guard_state=True).require()
    log.setup(config.file.log.level, config.file.log.format)
    if replay is not None:
        replay = dataclasses.replace(replay, lives=known_lives(config.state))
        config = dataclasses.replace(config, state=replay.state_beside(config.state, config.source))
    recovery = config.state / "recovery"
    if os.environ.get(RECOVERY) != str(recovery):
        os.environ[RECOVERY] = str(recovery)
        os.environ.setdefault(INTERVAL, str(max(1, round(config.file.epoch_secs))))
        os.environ.setdefault(BACKUP, "0")
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    given = _parse_args()
    if given.recovery_directory != recovery:
        raise UsageError(f"the recovery store of this job is {recovery}: leave out --recovery-directory")
    cluster = Cluster(
        given.process_id or 0, tuple(given.addresses.split(";")) if given.addresses is not None else ()
    )
    if replay is None and os.environ.get("HOOKLINE_YES", "") in NO:
        refuse_without_consent(config)
    closing = ExitStack()
    job, flow = closing.enter_context(open_job(config, config_dir, cluster=cluster, replay=replay))
    closing.enter_context(stop_on_signals(job.drain))
    closing.enter_context(Watchdog(job.pulse, job.drain, job.failure).watching())
    if observe is not None:
        closing.callback(observe(job, cluster.process))
    atexit.register(_end, job, closing)
    return flow


def _end(job: Job, closing: ExitStack) -> None:
    """Close everything; where a step failed, exit as `hookline run` does: the runner only knows 1."""
    stopping = job.drain.stopping if job.drain.anew is None else requested()
    closing.close()
    failure = job.failure.first or job.drain.anew
    if isinstance(failure, StartAnew) and job.peers is None:
        reexec(stopping=stopping)
    if failure is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(failure.exit_code if isinstance(failure, HooklineError) else Fatal.exit_code)
