"""Converts the byte offset in a record's origin to a line number, as editors count."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from pipeline.model.errors import ConfigError
from pipeline.model.records import Origin
from pipeline.sources.files.finding.inputs import STDIN, find_inputs
from pipeline.sources.files.finding.names import name_apart
from pipeline.sources.files.lines.blocks import Blocks, Damaged


class LineNumbers:
    """Counts lines in the files of these paths, each read once more; other sources have no line numbers.

    A recorded message has the origin that it was recorded from, which is not a place in these files.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        try:
            inputs = name_apart(find_inputs(paths))
        except ConfigError:
            inputs = []  # their reader reports it
        self._paths = {one.name: one.path for one in inputs if one.path != STDIN and os.path.isfile(one.path)}
        self._files: dict[str, _Counted] = {}

    def of(self, origin: Origin) -> int | None:
        """Return the line's number, from 1; None where the file is not available."""
        path = self._paths.get(origin.source)
        if path is None:
            return None
        counted = self._files.get(origin.source)
        if counted is None or origin.offset < counted.begin:
            counted = self._files[origin.source] = _Counted(path)
        return counted.line_at(origin.offset)

    def told(self, origin: Origin) -> str:
        """Return a place in words: ``in.jsonl line 2``, or ``topic/0:17`` for a recorded message."""
        number = self.of(origin)
        item = f" record {origin.item + 1}" if origin.item else ""
        return str(origin) if number is None else f"{origin.source} line {number}{item}"


class _Counted:
    """One file, and how many lines end before the block examined last."""

    def __init__(self, path: str) -> None:
        self.begin = 0
        """Where the block begins, in uncompressed bytes."""
        self._block = b""
        self._ends = 0
        self._blocks = _blocks(path)

    def line_at(self, offset: int) -> int | None:
        while offset > self.begin + len(self._block):
            self._ends += self._block.count(b"\n")
            self.begin += len(self._block)
            block = next(self._blocks, None)
            if block is None:
                return None
            self._block = block
        return self._ends + self._block.count(b"\n", 0, offset - self.begin) + 1


def _blocks(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb", buffering=0) as file:
            blocks = Blocks(file.fileno())
            while block := blocks.read():
                yield block
    except (OSError, Damaged):
        return
