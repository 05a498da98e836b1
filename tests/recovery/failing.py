"""`hookline` with failpoints: named functions kill the process, or parts of the protocol are switched off.

Started as a server that has imported everything: for each line of JSON on stdin it forks a child that runs
the real command line, and prints the child's number. Nothing in the product knows of this.

    {"argv": ["run", ...], "out": "folder", "kills": [["pipeline.store.store:Store.commit", "after", 3]],
     "off": ["undo"], "set": {"pipeline.deliver.lanes.lane:MAX_ENTRIES": 20}}
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

KILLED = -signal.SIGKILL


def find(place: str) -> tuple[Any, str]:
    """Return the holder and the name of ``module:Class.function``."""
    module, _, path = place.partition(":")
    holder: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    return holder, name


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(place: str, when: str, nth: int) -> None:
    """Let the nth call of a function be the last thing that this process does."""
    holder, name = find(place)
    original = getattr(holder, name)
    calls = 0

    def failing(*args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if when == "before" and calls == nth:
            die()
        result = original(*args, **more)
        if when == "after" and calls == nth:
            die()
        return result

    setattr(holder, name, failing)


def kill_after_snapshot(nth: int) -> None:
    """Die in the first call of the source after its nth snapshot: the epoch has just become durable."""
    from pipeline.job.steps.source import SourcePartition

    advance = SourcePartition.advance
    seen = 0

    def failing(self: Any) -> Any:
        nonlocal seen
        seen += self.snapped is not None
        if seen == nth + 1:  # the first one is no snapshot: it is the position of the start
            die()
        return advance(self)

    SourcePartition.advance = failing  # type: ignore[method-assign]


def without_undo() -> None:
    """Believe the store, whatever epoch Bytewax resumes."""
    from pipeline.store.store import Store

    def resume(self: Any, seq: int) -> bool:
        ahead = self.seq == seq + 1
        if ahead:
            with self._env.begin(write=True) as txn:
                self._put_seq(txn, seq)
            self._renew()
            self.seq = seq
        return bool(ahead)

    Store.resume = resume  # type: ignore[method-assign]


def without_journal() -> None:
    """Keep results in memory only."""
    from pipeline.outbox.journal import Journal

    Journal.append = lambda self, results, now_ms: None  # type: ignore[method-assign]


def without_hello() -> None:
    """Let the source begin with its first chunk: a shard without input is never built."""
    from pipeline.job.steps.source import SourcePartition

    advance = SourcePartition.advance

    def begin(self: Any) -> Any:
        batch = advance(self)
        if batch and batch[0].raw is None:
            return advance(self)
        return batch

    SourcePartition.advance = begin  # type: ignore[method-assign]
    # The last chunk would build the shards as well.
    SourcePartition.end = lambda self: None  # type: ignore[method-assign]


def without_purge() -> None:
    """Leave the rows of unfinished epochs in Bytewax' store."""
    recovery = importlib.import_module("pipeline.runtime.state.recovery")
    recovery.delete_ghosts = lambda parts: 0


OFF: dict[str, Callable[[], None]] = {
    "undo": without_undo,
    "journal": without_journal,
    "hello": without_hello,
    "purge": without_purge,
}


def send_elsewhere(url: str, instead: str) -> None:
    """Send to another place what a config or a row addresses to this one."""
    from pipeline.deliver.requests import sender

    build = sender.build_target
    sender.build_target = lambda method, to, *more: build(method, to.replace(url, instead), *more)  # type: ignore[assignment]


def run_child(job: dict[str, Any]) -> None:
    """Become the job; never returns."""
    code = 70
    try:
        out = Path(job["out"])
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            file = os.open(out / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(file, descriptor)
        for place, value in job.get("set", {}).items():
            getattr(*find(place))  # a name that is gone must not pass unnoticed
            setattr(*find(place), value)
        for url, instead in job.get("elsewhere", {}).items():
            send_elsewhere(url, instead)
        for name in job.get("off", []):
            OFF[name]()
        for place, when, nth in job.get("kills", []):
            if place == "durable":
                kill_after_snapshot(nth)
            else:
                kill_at(place, when, nth)
        sys.argv = ["hookline", *job["argv"]]
        from pipeline.cli.app import run

        code = run()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Fork a child per line of stdin; print its number, and its status when it has ended."""
    for module in (
        "pipeline.cli.jobs.run",
        "pipeline.runtime.process",
        "pipeline.admin.service",
        "bytewax.recovery",
    ):
        importlib.import_module(module)
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            run_child(job)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
