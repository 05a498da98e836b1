"""A hundred webhooks come and go in a running job: nothing of them stays but their counts."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.config.files import read_config
from pipeline.config.job import load_pipeline
from pipeline.job.assembly import Job
from pipeline.receiver.server import Receiver
from pipeline.runtime.parts import Parts
from pipeline.runtime.process import run_job
from tests.kit.programs.run import Bench, until

EACH = 25
"""Webhooks that an edit brings; the next one takes them away."""
ELSEWHERE = ("pipeline.deliver.http", "pipeline.receiver")
"""Rooms whose objects stay: connections that are idle, for a minute at most; the receiver is of the test."""
COUNTED = {"WebhookCounts"}
"""What is kept of a webhook that is gone, in each shard."""


class Edits:
    """A job in this process whose config is edited in a thread of its own."""

    def __init__(self, bench: Bench, receiver: Receiver) -> None:
        self.bench, self.receiver, self.failed = bench, receiver, ""
        self.found: list[Counter[str]] = []
        self.job: Job
        self.config = load_pipeline(
            bench.config,
            environ={},
            flags={
                "source.jsonl.paths": [str(bench.stream)],
                "source.jsonl.follow": True,
                "state": str(bench.state),
            },
        ).require()

    def edit(self, number: int) -> None:
        for path in (self.bench.config / "webhooks").glob("guest-*"):
            path.unlink()
        for each in range(EACH):
            self.bench.webhook(f"guest-{number}-{each}", self.receiver.url("/"), events="[E]")
        self.job.versions.install(self.compiled())
        until(lambda: self.job.versions.in_use == self.job.versions.latest.hash)
        self.receiver.requests.clear()
        self.bench.append({"name": "E", "user_id": f"u{number}", "id": f"e{number}"})
        until(lambda: len(self.receiver.requests) == EACH)

    def compiled(self) -> Snapshot:
        text = read_config(self.bench.config, defaults=self.config.defaults)
        return compile_config(text, secrets=None).require()

    def run(self) -> None:
        try:
            until(lambda: self.job.versions._entered)  # before that any version is called in use
            for number in range(10):
                self.edit(number)
                if number in (5, 9):
                    until(lambda: len(self.job.engine.stats().lanes) == EACH)
                    self.receiver.requests.clear()
                    self.found.append(alive())
        except BaseException as error:
            self.failed = repr(error)
        finally:
            self.job.drain.stopping = True


def alive() -> Counter[str]:
    """Return how many objects of each of our classes there are."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    ours = ((str(kind.__module__), kind.__qualname__) for kind in kinds)
    return Counter(
        name for room, name in ours if room.startswith("pipeline") and not room.startswith(ELSEWHERE)
    )


def test_of_a_hundred_webhooks_that_are_gone_their_counts_alone_are_left(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    bench = Bench(tmp_path, "{network: {allow: [127.0.0.0/8]}, epoch: 50ms, shards: 2}")
    bench.webhook("guest-none", receiver.url("/"), events="[E]")
    bench.stream.touch()
    edits = Edits(bench, receiver)

    def observe(job: Job) -> Callable[[], None]:
        edits.job = job
        thread = threading.Thread(target=edits.run)
        thread.start()
        return thread.join

    monkeypatch.setattr(gc, "freeze", lambda: None)  # it would hide from `alive` what there is
    threshold = gc.get_threshold()
    try:
        summary = run_job(edits.config, bench.config, observe=observe, parts=Parts(watches=False))
    finally:
        gc.set_threshold(*threshold)
    assert not edits.failed
    before, after = edits.found
    grown = {kind: n for kind, n in (after - before).items() if n >= EACH}
    assert grown.keys() <= COUNTED, grown
    assert len(summary["webhooks"]) == 10 * EACH
    assert summary["webhooks"]["guest-0-0"]["delivered"] == 1
