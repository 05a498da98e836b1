"""The job under Bytewax's own runner, on one host or several (``python -m bytewax.run -i 0 -a "..."``)."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from bytewax.dataflow import Dataflow

from pipeline.config.job import load_pipeline
from pipeline.replay import Replay
from pipeline.runtime.job import Cluster, open_job
from pipeline.runtime.signals import stop_on_signals
from pipeline.telemetry import log

RECOVERY = "BYTEWAX_RECOVERY_DIRECTORY"
INTERVAL = "BYTEWAX_SNAPSHOT_INTERVAL"
BACKUP = "BYTEWAX_RECOVERY_BACKUP_INTERVAL"


def prepare(replay: Replay | None = None) -> Dataflow:
    """Return the dataflow of this process, ready for the runner; it is closed when the process exits.

    Without a recovery store nothing could be resumed, and Bytewax reads where it is only before this is
    called: where it was not told, the process starts itself anew with the job's own.
    """
    config_dir = Path(os.environ.get("HOOKLINE_CONFIG", "config"))
    config = load_pipeline(config_dir, check_source=True).require()
    log.setup(config.log_level, config.log_format)
    recovery = config.state / "recovery"
    if os.environ.get(RECOVERY) != str(recovery):
        os.environ[RECOVERY] = str(recovery)
        os.environ.setdefault(INTERVAL, str(max(1, round(config.epoch_secs))))
        os.environ.setdefault(BACKUP, "0")
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    closing = ExitStack()
    job, flow = closing.enter_context(open_job(config, config_dir, cluster=_cluster(), replay=replay))
    closing.enter_context(stop_on_signals(job))
    atexit.register(closing.close)
    return flow


def _cluster() -> Cluster:
    """Return what the runner's own flags say of this process."""
    arguments = sys.argv[1:]
    addresses = _flag(arguments, "-a", "--addresses") or os.environ.get("BYTEWAX_ADDRESSES", "")
    process = _flag(arguments, "-i", "--process-id") or os.environ.get("BYTEWAX_PROCESS_ID", "0")
    return Cluster(int(process), tuple(part for part in addresses.split(";") if part))


def _flag(arguments: list[str], *names: str) -> str | None:
    for at, argument in enumerate(arguments):
        for name in names:
            if argument == name and at + 1 < len(arguments):
                return arguments[at + 1]
            if argument.startswith(f"{name}="):
                return argument[len(name) + 1 :]
    return None
