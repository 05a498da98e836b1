"""Which config version each line runs under: the history of a partition, and what the source makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.job.steps.source import SourcePartition
from pipeline.sources.chunk import RawChunk
from pipeline.sources.reader import BaseReader
from tests.kit.examples import examples
from tests.kit.streams.source import open_partition


class Text:
    def __init__(self, version: str) -> None:
        self.version = version

    def to_bytes(self) -> bytes:
        return self.version.encode()


def snapshot(version: str) -> Any:
    return SimpleNamespace(hash=version, text=Text(version), says_formats=False)


class Lines(BaseReader):
    """A reader of numbered lines without an end."""

    name = "p"
    done = False

    def __init__(self, position: Any) -> None:
        self.position = position or ("test-1", 0, ())

    def read(self, limit: int) -> RawChunk:
        start = self.position[1]
        end = start + min(limit, 5)
        self.position = ("test-1", end, ())
        return RawChunk("p", "p", list(range(start, end)), [b""] * (end - start), self.position)


@dataclass
class Running:
    """Runs of one source partition on one state directory, without the rest of the job."""

    state: Path
    latest: str = "A"
    durable: Any = None
    """The position of the last durable epoch."""
    ran: dict[int, set[str]] = field(default_factory=dict)
    """Line to the versions that it ran under in all runs."""
    source: SourcePartition | None = None

    def start(self) -> None:
        """Start the job, or start it again after a kill."""
        self.versions = SimpleNamespace(get=snapshot, named=lambda version: None, enter=lambda *_: None)
        self.edit(self.latest)
        if self.source is not None:
            self.source.close()
        self.source = open_partition(
            "p", Lines(self.durable), self.state, self.versions, resumed=self.durable
        )

    def edit(self, version: str) -> None:
        self.latest = version
        self.versions.latest = snapshot(version)

    def step(self) -> None:
        """Let the source hand out what it has next."""
        assert self.source is not None
        for chunk in self.source.advance() or ():
            if chunk.raw is not None:
                for line in chunk.raw.offsets:
                    self.ran.setdefault(line, set()).add(chunk.config)

    def commit(self) -> None:
        """End an epoch; it is durable at once."""
        assert self.source is not None
        self.durable = self.source.snapshot()[1]

    def kill_after_switch(self) -> None:
        """Die between a switch and the first chunk under it."""
        assert self.source is not None
        read = self.source.reader.read

        def die(limit: int) -> RawChunk:
            self.source.reader.read = read  # type: ignore[union-attr, method-assign]  # as it was
            raise KeyboardInterrupt

        self.source.reader.read = die  # type: ignore[method-assign]  # that is the fault
        if not self.source.version:
            self.source.advance()  # the hello
        with pytest.raises(KeyboardInterrupt):
            self.source.advance()
        self.start()


def test_a_replayed_stretch_runs_under_the_version_it_ran_under(tmp_path: Path):
    running = Running(tmp_path)
    running.start()
    for version in "ABC":
        running.edit(version)
        running.commit()
        running.step()
        running.step()
    running.edit("D")  # while the job is down
    running.start()
    for _ in range(3):
        running.step()
    assert "D" not in set.union(*running.ran.values()), "only after a durable epoch"
    running.commit()
    running.step()
    assert [*dict.fromkeys(min(versions) for _, versions in sorted(running.ran.items()))] == [*"ABCD"]
    assert max(map(len, running.ran.values())) == 1


def test_a_kill_between_a_switch_and_its_first_chunk_leaves_a_true_history(tmp_path: Path):
    running = Running(tmp_path)
    running.start()
    for _ in range(3):
        running.step()
    running.commit()
    assert running.durable == ("test-1", 10, ())
    before_the_switch = ("test-1", 5, ())
    running.edit("B")
    running.kill_after_switch()
    # The lines after the switch have never run. They do now, coming from before it, and then once more.
    running.edit("C")
    for _ in range(2):
        running.durable = before_the_switch
        running.start()
        for _ in range(6):
            running.step()
    assert max(map(len, running.ran.values())) == 1


@settings(max_examples=examples(60))
@given(st.lists(st.sampled_from(["step", "step", "commit", "edit", "kill", "kill in switch"]), max_size=40))
def test_no_line_ever_runs_under_two_versions(tmp_path_factory: pytest.TempPathFactory, acts: list[str]):
    running = Running(tmp_path_factory.mktemp("history"))
    running.start()
    version = 0
    for act in acts:
        if act == "step":
            running.step()
        elif act == "commit":
            running.commit()
        elif act == "edit":
            version += 1
            running.edit(f"v{version}")
        elif act == "kill":
            running.start()
        else:
            running.kill_after_switch()
    running.step()
    assert max(map(len, running.ran.values()), default=1) == 1
