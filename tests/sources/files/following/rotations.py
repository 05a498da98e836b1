"""What tests of followed files do to them, and a recording that follows them."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import orjson

from pipeline.sources.chunk import Position
from pipeline.sources.files.recording import RESCAN_SECS, Recording


def line(number: int, filler: int = 0) -> bytes:
    return b'{"type":"event","id":"%d","name":"E","user_id":"u","properties":{"x":"%b"}}\n' % (
        number,
        b"-" * filler,
    )


def lines(first: int, last: int) -> bytes:
    """Return lines with so much text that a few of them tell a file from others."""
    return b"".join(line(number, 400) for number in range(first, last + 1))


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def number_of(text: bytes | None) -> int:
    return int(orjson.loads(text or b"")["id"])


class Following:
    """A followed recording, begun anew where it stood as often as is wanted."""

    def __init__(self, *paths: Path, follow: bool = True, heads: Path | None = None) -> None:
        self._paths = [str(path) for path in paths]
        self._heads = heads
        self.follow = follow
        self._now = 0.0
        self.position: Position | None = None
        self._stored: Position | None = None
        self._recording = self._begin()

    def begin(self) -> None:
        """Begin anew at `position`."""
        self._recording.close()
        self._recording = self._begin()

    def _begin(self) -> Recording:
        return Recording(
            self._paths,
            follow=self.follow,
            resume=self.position,
            heads=self._heads,
            clock=lambda: self._now,
        )

    def store(self) -> None:
        """End an epoch, durably."""
        self._stored = self._recording.position
        self.durable()

    def durable(self) -> None:
        """Say that the present position is durable."""
        self._recording.durable(self._recording.position)

    def kill(self) -> None:
        """Begin anew where the last durable epoch ended."""
        self.position = self._stored
        self.begin()

    def close(self) -> None:
        """End for good."""
        self._recording.close()

    def again(self) -> None:
        """Begin anew."""
        if self.position is not None:
            self.position = self._recording.position
        self.begin()

    def read(self) -> list[int]:
        """Return the numbers of what is there now."""
        return [number for _, number in self.named()]

    @property
    def progress(self) -> tuple[int, int]:
        """Return how many bytes were read, and how many there were."""
        return self._recording.progress

    def is_still(self) -> bool:
        """Return whether the job may rest until one of the files has grown."""
        return self._recording.is_still()

    def step(self) -> list[int]:
        """Return the numbers of the next lines that are there, of one file."""
        while (chunk := self._recording.read(100)) is None:
            pass
        self.position = chunk.position
        return [number_of(text) for text in chunk.lines]

    def named(self) -> list[tuple[str, int]]:
        """Return what is there now: what its file is called, and its number."""
        found = []
        for _ in range(4):
            self._now += RESCAN_SECS + 0.1
            while (chunk := self._recording.read(100)) is not None:
                assert not chunk.faults
                self.position = chunk.position
                names = chunk.sources if isinstance(chunk.sources, list) else [chunk.sources] * len(chunk)
                found += [(name, number_of(text)) for name, text in zip(names, chunk.lines, strict=True)]
        return found


def rename_with_a_counter(path: Path) -> None:
    path.rename(path.with_name(path.name + ".1"))


def rename_with_a_date(path: Path) -> None:
    path.rename(path.with_name(f"{path.stem}-20261129{path.suffix}"))


def copy_and_truncate(path: Path) -> None:
    shutil.copy(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)


def compress_and_truncate(path: Path) -> None:
    path.with_name(path.name + "-20261129.gz").write_bytes(gzip.compress(path.read_bytes()))
    os.truncate(path, 0)


ROTATIONS = (rename_with_a_counter, rename_with_a_date, copy_and_truncate, compress_and_truncate)
