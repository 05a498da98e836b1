"""The real job in this process, with an engine that notes what it is given."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.job import load_pipeline
from pipeline.deliver.orders import Orders
from pipeline.job.assembly import Job
from pipeline.outbox.handover import Delivery
from pipeline.runtime.parts import Parts
from pipeline.runtime.process import Summary, run_job
from tests.kit.delivery.engine import RecordingEngine


class Crash(Exception):
    """The job ends here, as if it had been killed: nothing is committed any more."""


@dataclass
class FlowEngine(RecordingEngine):
    """Delivers at once; stops or crashes the job after so many deliveries."""

    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    stop_after: int | None = None
    crash_after: int | None = None
    job: Job | None = None

    def __post_init__(self) -> None:
        self.orders = Orders(lambda order: None)

    def submit(self, deliveries: list[Delivery]) -> None:
        super().submit(deliveries)
        if self.crash_after is not None and len(self.requests) >= self.crash_after:
            raise Crash
        if self.stop_after is not None and len(self.requests) >= self.stop_after:
            assert self.job is not None
            self.job.drain.stopping = True


def run_flow(
    folder: Path,
    *,
    shards: int = 2,
    epoch: str = "1s",
    chunk: int = 200,
    stop_after: int | None = None,
    crash_after: int | None = None,
    state: str = "state",
    stream: str = "stream.jsonl",
    look: Callable[[Job], None] = lambda job: None,
) -> tuple[list[tuple[str, str, bytes]], Summary | None]:
    """Run the job over the stream in the folder; return what it sent and its summary (None: it crashed).

    look: is given the job before it reads.
    """
    engine = FlowEngine(stop_after=stop_after, crash_after=crash_after)

    def observe(job: Job) -> Any:
        engine.job = job
        look(job)
        return lambda: None

    config = load_pipeline(
        folder / "config",
        environ={},
        flags={
            "source.jsonl.paths": [str(folder / stream)],
            "state": str(folder / state),
            "shards": shards,
            "epoch": epoch,
        },
    ).require()
    parts = Parts(engine=lambda *_: engine, chunk_lines=chunk, watches=False)
    threshold = gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "freeze", lambda: None)  # it would hold what every run leaves
        try:
            summary = run_job(config, folder / "config", observe=observe, parts=parts)
        except BaseException:
            if crash_after is None or len(engine.requests) < crash_after:
                raise
            summary = None
        finally:
            gc.set_threshold(*threshold)
    return engine.requests, summary
