"""What a process keeps of webhooks that are in no config any more, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.admin.command_routes import Commands
from pipeline.admin.look_routes import look_routes
from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.compile.versions import Versions
from pipeline.config.files import ConfigText
from pipeline.deliver.core import Core
from pipeline.deliver.halts import Halt, Halts
from pipeline.deliver.lanes.onlookers import Attempts
from pipeline.deliver.orders import Orders
from pipeline.job.assembly import Job
from pipeline.job.control.departed import Departed, left_of
from pipeline.model.errors import UsageError
from pipeline.model.json import Value
from pipeline.operate.running import looks
from pipeline.outbox.counters import Counters
from pipeline.store.store import Store
from tests.kit.delivery.rig import Rig, delivery

WEBHOOK = "id: {0}\ntrigger: {{events: E}}\nrequest: {{url: 'https://a.example/'}}\n"


def version(*ids: str) -> Snapshot:
    files = {f"webhooks/{name}.yaml": WEBHOOK.format(name) for name in ids}
    return compile_config(ConfigText(files), secrets=None).require()


@dataclass
class Shard:
    number: int
    counters: Counters


@dataclass
class Process:
    """Two shards, an engine, and config versions; the webhook `old` is in the first version alone."""

    folder: Path
    shards: list[Shard]
    rig: Rig = field(default_factory=Rig)

    def __post_init__(self) -> None:
        orders = self.orders = Orders(self.order)
        self.halts = Halts(self.folder)
        self.versions = Versions(self.folder / "versions", version("old", "new"), orders.configure)
        self.departed = Departed(self.versions, lambda: self.shards, self.halts, orders)
        self.versions.install(version("new"))

    def order(self, order: object) -> None:
        assert callable(order)
        order(self.core)

    @property
    def core(self) -> Core:
        return self.rig.core

    def epoch(self) -> set[str]:
        """End one; return the webhooks that are known, after checking that engine and versions agree."""
        for shard in self.shards:
            self.departed.recall(shard.counters)
            shard.counters.flush()
            self.departed.look(shard.number)
        assert self.core.lanes.keys() >= self.versions.specs.keys()
        return set(self.core.lanes)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    stores = [Store(tmp_path / str(number)) for number in range(2)]
    for store in stores:
        store.resume(0)
    yield Process(tmp_path, [Shard(number, Counters(store)) for number, store in enumerate(stores)])
    for store in stores:
        store.close()


@pytest.mark.parametrize("shard", [0, 1])
@pytest.mark.parametrize("field", ["pending", "dead_bytes"])
def test_what_is_owed_or_can_be_sent_again_keeps_a_webhook(process: Process, shard: int, field: str):
    counts = process.shards[shard].counters.change("old")
    setattr(counts, field, 1)
    assert process.epoch() == {"old", "new"}
    assert process.epoch() == {"old", "new"}
    setattr(process.shards[shard].counters.change("old"), field, 0)
    counts.delivered = 7
    assert process.epoch() == {"new"}
    assert process.shards[shard].counters.of("old").delivered == 7  # the accounting stays


def test_a_halt_keeps_a_webhook(process: Process):
    process.halts.set("old", "paused")
    assert process.epoch() == {"old", "new"}
    process.halts.set("old", None)
    assert process.epoch() == {"new"}


def test_a_source_partition_that_reads_under_an_older_version_keeps_a_webhook(process: Process):
    process.versions.enter("recording", version("old", "new").hash)
    assert process.epoch() == {"old", "new"}
    process.versions.enter("recording", version("new").hash)
    assert process.epoch() == {"new"}


def test_what_another_process_still_matches_is_sent_within_the_epoch(process: Process):
    assert process.epoch() == {"new"}
    process.shards[1].counters.change("old").pending = 1
    process.rig.give(delivery(1, "old", url="https://a.example/"))
    process.rig.run()
    assert not process.rig.sent()  # nobody knows how
    assert process.epoch() == {"old", "new"}
    process.rig.run()
    assert process.rig.sent() == ["msg_1"]
    process.shards[1].counters.change("old").pending = 0
    process.epoch()
    process.rig.run()
    assert set(process.core.lanes) == {"new"}


def test_what_another_process_still_matches_is_known_before_it_is_owed(process: Process):
    assert process.epoch() == {"new"}
    # As a shard does with each chunk. A lane that nobody has configured knows of no order and no batches.
    process.versions.get(version("old", "new").hash)
    process.rig.give(delivery(1, "old", url="https://a.example/"))
    process.rig.run()
    assert process.rig.sent() == ["msg_1"]


def test_a_person_may_still_speak_of_one_that_another_process_owes(process: Process):
    assert process.epoch() == {"new"}
    engine = SimpleNamespace(orders=process.orders)
    job = SimpleNamespace(versions=process.versions, halts=process.halts, engine=engine)
    commands = Commands(cast(Job, job))
    assert commands.order("pause", ["old"]) == {}
    assert process.epoch() == {"old", "new"}
    assert process.core.lanes["old"].halt == "paused"
    assert commands.order("resume", ["old"]) == {}
    assert process.epoch() == {"new"}
    with pytest.raises(UsageError, match="there is no webhook `ol`"):
        commands.order("pause", ["ol"])


def test_the_attempts_of_one_that_another_process_knows_are_shown(
    process: Process, monkeypatch: pytest.MonkeyPatch
):
    assert process.epoch() == {"new"}
    job = SimpleNamespace(versions=process.versions, lookout=SimpleNamespace(attempts=Attempts()))
    (forgotten,) = (one.handler for one in look_routes(cast(Job, job), 0) if one.name == "attempts")
    answers: list[Value] = [forgotten(webhook="old", limit=9), [{"at": "2026-11-29T10:00:00.000Z"}]]
    monkeypatch.setattr(looks, "ask", lambda state, command, **arguments: answers)
    assert looks.attempts(process.folder, "old") == answers[1]
    answers[1] = []
    assert looks.attempts(process.folder, "old") == []
    answers.pop()
    with pytest.raises(UsageError, match="there is no webhook `old`"):
        looks.attempts(process.folder, "old")


def test_dead_letters_of_an_older_version_are_recalled_with_the_first_commit(process: Process):
    assert process.epoch() == {"new"}
    counters = process.shards[0].counters
    counters.change("old").dead = 1
    assert left_of(counters) == set()
    assert process.epoch() == {"new"}
    counters.change("old").dead_bytes = 500  # as opening the outbox does
    assert left_of(counters) == {"old"}
    assert process.epoch() == {"old", "new"}


def test_a_webhook_that_comes_back_is_sent_to(process: Process):
    process.epoch()
    process.versions.install(version("old", "new"))
    process.rig.give(delivery(1, "old", url="https://a.example/"))
    process.rig.run()
    assert process.rig.sent() == ["msg_1"]
    assert process.epoch() == {"old", "new"}


def test_a_webhook_that_comes_back_at_that_moment_is_sent_to(
    process: Process, monkeypatch: pytest.MonkeyPatch
):
    def edited_meanwhile() -> dict[str, Halt]:
        process.versions.install(version("old", "new"))
        return {}

    monkeypatch.setattr(process.halts, "all", edited_meanwhile)
    assert process.epoch() == {"old", "new"}
    process.rig.give(delivery(1, "old", url="https://a.example/"))
    process.rig.run()
    assert process.rig.sent() == ["msg_1"]


def test_no_halt_that_ends_at_that_moment_stops_the_job(process: Process, monkeypatch: pytest.MonkeyPatch):
    process.halts.set("old", "paused")
    files = process.halts.files

    def ended_meanwhile() -> list[Path]:
        found = files()
        process.halts.set("old", None)
        return found

    monkeypatch.setattr(process.halts, "files", ended_meanwhile)
    assert process.epoch() == {"new"}
