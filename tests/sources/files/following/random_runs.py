"""Followed files written, truncated and rotated at random while their job reads, commits and is killed.

A model knows every line that was written, where it lies, and what happened to it.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.sources.chunk import Position
from pipeline.sources.files.recording import Recording
from pipeline.telemetry import metrics
from tests.sources.files.following.rotations import append, line, number_of

USUAL = ("write",) * 6 + ("read",) * 8 + ("epoch",) * 3 + ("kill",) * 2


class RandomRun:
    """One run in a folder. steps: of which it is made; each is a method here."""

    def __init__(self, seed: int, folder: Path, steps: Sequence[str]) -> None:
        self._random = random.Random(seed)
        self._steps = steps
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True)
        self._heads = folder / "heads"
        self._path = self._logs / "app.jsonl"
        self._given = str(self._random.choice([self._logs, self._path, self._path]))
        self._fillers = self._random.choice([(0, 10, 300), (400,)])
        self._now = 0.0
        self.trace: list[str] = []
        # --- the world
        self._written = 0
        self._files: dict[Path, list[int]] = {}
        self._gone: set[int] = set()
        """Lines that nothing on disk has any more, or that were rotated away before the file was known."""
        # --- the job
        self._recording: Recording | None = None
        self._durable: Position | None = None
        self._stored: tuple[Position, list[int]] | None = None
        """The position of the last snapshot, and the lines before it."""
        self._handed_out: list[int] = []
        """Lines of this run."""
        self._known: dict[tuple[str, int], int] = {}
        """By origin, over all runs."""
        self._seen: set[int] = set()
        self._settled: set[int] = set()
        """Delivered, as the journal knows, or before a durable position."""
        self._lost = self._told()

    def __call__(self) -> None:
        """Run, let the job read what is left, and judge."""
        for _ in range(self._random.randint(8, 45)):
            getattr(self, f"_{self._random.choice(self._steps)}")()
        for _ in range(4):
            self._write()
            for _ in range(8):
                self._now += 2
                self._read_on(100)
                self._epoch()
        self._kill()
        left = set(range(1, self._written + 1)) - self._settled
        assert not left - self._gone, f"lost, though on disk: {sorted(left - self._gone)}"
        assert not left & self._seen or self._told() > self._lost, (
            f"lost silently: {sorted(left & self._seen)}"
        )

    def _told(self) -> float:
        return metrics.read("source_truncated_total", unread="some")

    # --- what happens to the file

    def _write(self) -> None:
        new = [self._written + 1 + at for at in range(self._random.choice([1, 1, 2, 3, 8]))]
        self._written = new[-1]
        append(self._path, b"".join(line(one, self._random.choice(self._fillers)) for one in new))
        self._files.setdefault(self._path, []).extend(new)
        self.trace.append(f"written {new}")

    def _truncate(self) -> None:
        if self._path.exists():
            os.truncate(self._path, 0)
            lines, self._files[self._path] = self._files[self._path], []
            self._gone.update(set(lines).difference(*self._files.values()))
            self.trace.append(f"truncated {lines}")

    def _rename(self) -> None:
        if self._files.get(self._path):
            one = self._rotated()
            self._path.rename(one)
            self._files[one] = self._files.pop(self._path)
            self.trace.append(f"renamed {self._files[one]}")

    def _copy(self) -> None:
        if self._files.get(self._path):
            one = self._rotated()
            shutil.copy(self._path, one)
            os.truncate(self._path, 0)
            self._files[one], self._files[self._path] = self._files[self._path], []
            self.trace.append(f"copied and truncated {self._files[one]}")

    def _rotated(self) -> Path:
        if not self._seen:
            self._gone.update(self._files[self._path])
        # Nobody rotates within the tick (4 ms) of the file system's clock in which a line was written.
        written_ns, clock = self._path.stat().st_mtime_ns, self._logs.parent / "clock"
        clock.touch()
        while clock.stat().st_mtime_ns <= written_ns:
            clock.touch()
        for number in range(len(list(self._logs.iterdir())), 0, -1):
            old = self._path.with_name(f"app.jsonl.{number}")
            if old.exists():
                new = old.rename(self._path.with_name(f"app.jsonl.{number + 1}"))
                self._files[new] = self._files.pop(old)
        return self._path.with_name("app.jsonl.1")

    # --- what the job does

    def _start(self) -> Recording:
        self._handed_out, self._stored = [], None
        self.trace.append("started")
        begun = Recording(
            [self._given], follow=True, resume=self._durable, heads=self._heads, clock=lambda: self._now
        )
        if self._durable is not None:
            begun.durable(self._durable)  # as a job's first poll does
        return begun

    def _read(self) -> None:
        self._now += self._random.choice([0.1, 1.2])
        self._read_on(self._random.choice([1, 3, 100]))

    def _read_on(self, limit: int) -> None:
        if self._recording is None:
            self._recording = self._start()
        chunk = self._recording.read(limit)
        if chunk is None:
            return
        sources = chunk.sources if isinstance(chunk.sources, list) else [chunk.sources] * len(chunk)
        for source, offset, text in zip(sources, chunk.offsets, chunk.lines, strict=True):
            number = number_of(text)
            self.trace.append(f"read {number} at {source}@{offset}")
            known = self._known.setdefault((source, offset), number)
            assert known == number, f"line {number} is taken for line {known}"
            self._handed_out.append(number)
            if self._random.random() < 0.7:
                self._settled.add(number)
        self._seen.update(self._handed_out)

    def _epoch(self) -> None:
        if self._recording is None:
            return
        if self._stored is not None:
            self._durable, lines = self._stored
            self._settled.update(lines)
            self._recording.durable(self._durable)
        self._stored = self._recording.position, list(self._handed_out)
        self.trace.append("epoch")

    def _kill(self) -> None:
        if self._recording is not None:
            self._recording.close()
            self._recording = None
            self.trace.append("killed")
