"""Config history: a line that ran under one version runs under it in every replay."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.job.steps import history
from pipeline.job.steps.history import History
from pipeline.sources.chunk import RawChunk
from pipeline.sources.reader import BaseReader
from tests.kit.examples import examples
from tests.kit.streams.source import open_partition

LINES = 60


class Lines(BaseReader):
    """A reader of numbered lines."""

    name = "recording"

    def __init__(self, position: tuple[Any, ...] | None) -> None:
        self.line = position[1] if position is not None else 0

    @property
    def position(self) -> tuple[Any, ...]:
        return ("v1", self.line)

    @property
    def done(self) -> bool:
        return self.line == LINES

    def read(self, limit: int) -> RawChunk | None:
        end = min(LINES, self.line + min(limit, 7))
        if end == self.line:
            return None
        offsets = list(range(self.line, end))
        self.line = end
        return RawChunk("recording", "r", offsets, [b"" for _ in offsets], self.position)


@pytest.fixture(autouse=True)
def _own_sync() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, own in (("_sync", history._sync), ("boot_id", history.boot_id), ("LEAST_AHEAD", 3)):
            patch.setattr(history, name, own)
        yield


def snapshot(version: str) -> SimpleNamespace:
    text = SimpleNamespace(to_bytes=version.encode)
    return SimpleNamespace(hash=version, text=text, says_formats=False)


class Versions:
    def __init__(self) -> None:
        self.latest = snapshot("v0")

    def get(self, version: str, text: bytes | None = None) -> SimpleNamespace:
        return snapshot(version)

    def named(self, version: str) -> None:
        pass

    def enter(self, partition: str, version: str) -> None:
        pass


class Runs:
    """A source partition over many runs, and what each line ran under."""

    def __init__(self, folder: Path) -> None:
        self.versions = Versions()
        self.state = folder
        self.boot = os.urandom(16)
        self.disk = b""
        """What of the high water would be there after a power cut."""
        self.under: dict[int, str] = {}
        self.durable: tuple[Any, ...] | None = None
        self.taken: tuple[Any, ...] | None = None
        self.start()

    def start(self) -> None:
        history._sync, history.boot_id = self._sync, lambda: self.boot
        self.partition = open_partition("recording", Lines(self.durable), self.state, self.versions)
        self.known: set[str] = set()

    def advance(self) -> None:
        if self.taken is not None:
            self.durable, self.taken = self.taken, None
        for intake in self.partition.advance() or ():
            if intake.text is not None:
                assert intake.text.decode() == intake.config
                self.known.add(intake.config)
            if intake.raw is not None:
                assert intake.config in self.known, "a chunk under a version that did not travel ahead of it"
                for line in intake.raw.offsets:
                    assert self.under.setdefault(line, intake.config) == intake.config

    def snap(self) -> None:
        if self.partition.version:
            self.taken = self.partition.snapshot()[1]

    def die(self, committed: bool) -> None:
        """End as by SIGKILL: what was written is there."""
        self._end(committed, self._file.read_bytes())

    def lose_power(self, committed: bool) -> None:
        """End as by a power cut: what was not synced is gone."""
        self.boot = os.urandom(16)
        self._end(committed, self.disk)

    def _end(self, committed: bool, left: bytes) -> None:
        if committed and self.taken is not None:
            self.durable = self.taken
        self.taken, synced = None, self.disk
        self.partition.close()
        # The job was gone before it could close the file.
        self._file.write_bytes(left)
        self.disk = synced
        self.start()

    @property
    def _file(self) -> Path:
        return self.state / "source" / "recording" / "high-water"

    def _sync(self, file: int) -> None:
        self.disk = os.pread(file, 100, 0)


STEPS = st.lists(
    st.one_of(
        st.just("advance"),
        st.just("advance"),
        st.just("snap"),
        st.sampled_from(["die", "die committed", "lose power", "lose power committed"]),
        st.sampled_from(["v0", "v1", "v2"]),
    ),
    max_size=60,
)


@given(steps=STEPS)
@settings(max_examples=examples(300), deadline=None)
def test_a_line_runs_under_one_version_whatever_is_edited_and_whenever_the_job_dies(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder))
        for step in steps:
            if step == "advance":
                runs.advance()
            elif step == "snap":
                runs.snap()
            elif step.startswith("die"):
                runs.die(step == "die committed")
            elif step.startswith("lose"):
                runs.lose_power(step == "lose power committed")
            else:
                runs.versions.latest = snapshot(step)
        runs.partition.close()


@contextmanager
def runs_in(folder: Path) -> Any:
    runs = Runs(folder)
    yield runs
    runs.partition.close()


def test_an_edit_takes_effect_right_after_a_durable_epoch(tmp_path: Path) -> None:
    with runs_in(tmp_path) as runs:
        runs.advance()  # the hello
        runs.advance()
        runs.versions.latest = snapshot("v1")
        runs.advance()
        runs.snap()
        runs.advance()
        assert [runs.under[line] for line in (0, 7, 13, 14, 20)] == ["v0", "v0", "v0", "v1", "v1"]


def test_a_replay_after_an_edit_runs_under_the_old_version_up_to_where_it_had_come(tmp_path: Path) -> None:
    with runs_in(tmp_path) as runs:
        for _ in range(3):
            runs.advance()
        runs.die(committed=False)
        runs.versions.latest = snapshot("v1")
        for _ in range(4):
            runs.advance()
        runs.snap()
        runs.advance()
        assert {runs.under[line] for line in range(14)} == {"v0"}
        assert runs.under[21] == "v1"


def test_a_kill_between_a_switch_and_its_first_chunk_and_the_edit_taken_back_stays_true(
    tmp_path: Path,
) -> None:
    with runs_in(tmp_path) as runs:
        runs.advance()
        runs.advance()
        runs.snap()
        runs.advance()
        runs.partition.history.switch(14, "v1")
        runs.die(committed=False)
        for _ in range(4):
            runs.advance()
        runs.die(committed=False)
        for _ in range(6):
            runs.advance()


def test_a_power_cut_leaves_a_high_water_that_no_line_was_beyond(tmp_path: Path) -> None:
    with runs_in(tmp_path) as runs:
        for _ in range(4):
            runs.advance()
        runs.lose_power(committed=False)
        runs.versions.latest = snapshot("v1")
        for _ in range(9):
            runs.advance()
        assert {runs.under[line] for line in range(21)} == {"v0"}, "they may have been sent"
        assert runs.partition.history.high > 21


def test_a_clean_end_leaves_the_high_water_itself_for_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runs_in(tmp_path) as runs:
        for _ in range(4):
            runs.advance()
    monkeypatch.setattr(history, "boot_id", lambda: bytes(16))
    found = History(tmp_path / "source" / "recording")
    assert found.high == 21
    found.close()


def noted(make_room: Callable[[int], None], waited: list[int]) -> Callable[[int], None]:
    def noting(line: int) -> None:
        waited.append(line)
        make_room(line)

    return noting


def test_a_steady_input_never_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = History(tmp_path)
    waited: list[int] = []
    line = 0
    for epoch in range(50):
        if own._syncing is not None:
            own._syncing.join()
        monkeypatch.setattr(own, "_make_room", noted(own._make_room, waited))
        for _ in range(20):
            line += 200
            own.emitting(line)
        if epoch == 2:
            waited.clear()
        own.durable(line)
    assert waited == []
    assert own._synced < line + 10 * 4000
    own.close()


def test_the_high_water_is_whole_before_it_is_written_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    wrote = os.pwrite

    def noting(file: int, data: bytes, at: int) -> int:
        sizes.append(os.fstat(file).st_size - len(data))
        return wrote(file, data, at)

    monkeypatch.setattr(os, "pwrite", noting)
    for old in (b"", (15).to_bytes(8, "little")):
        (tmp_path / "high-water").write_bytes(old)
        own = History(tmp_path)
        own.emitting(20)
        own.close()
    assert set(sizes) == {0}, "it never grows: a power cut may leave a part of what was appended"


def test_the_file_of_an_earlier_version_is_understood(tmp_path: Path) -> None:
    (tmp_path / "high-water").write_bytes((15).to_bytes(8, "little"))
    own = History(tmp_path)
    assert own.high == 15
    own.close()


def test_a_history_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    own = History(tmp_path)
    assert (own.version_at(0), own.high) == (None, 0)
    own.switch(0, "v0")
    own.emitting(10)
    own.switch(10, "v1")
    own.emitting(15)
    own.emitting(12)
    own.close()
    own = History(tmp_path)
    assert own.high == 15
    assert [own.version_at(line) for line in (0, 9, 10, 99)] == ["v0", "v0", "v1", "v1"]
    assert [own.boundary_after(line) for line in (0, 9, 10, 14, 15)] == [10, 10, 15, 15, 16]
    own.durable(12)
    assert own.version_at(12) == "v1"
    own.switch(20, "v2")
    own.close()
    own = History(tmp_path)
    assert (own.version_at(9), own.version_at(12), own.version_at(20)) == (None, "v1", "v2")
    own.close()


def test_a_kill_while_a_switch_is_written_leaves_the_old_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    def killed(*_: object) -> None:
        raise Killed

    own = History(tmp_path)
    own.switch(0, "v0")
    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(Killed):
        own.switch(5, "v1")
    own.close()
    own = History(tmp_path)
    assert own.version_at(5) == "v0"
    own.close()
