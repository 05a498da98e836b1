"""A collector's folder, written step by step as `hookline collect` does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import orjson
import zstandard

from pipeline.sources.files.lines.recorded import Message, dump_line

ID = "0123abcd"
SOURCE = f"collect-{ID}/0"
NATIVE: Sequence[tuple[str, bytes]] = (("hk-protocol", b"native"), ("hk-key", b"web"))


class CollectorsFolder:
    """One line, one rotation, one compressed segment at a time."""

    def __init__(self, path: Path, id: str = ID) -> None:
        self.path = path
        self.source = f"collect-{id}/0"
        self.time_ms = 1_795_435_200_000
        self.lines = 0
        self.gaps: list[list[int]] = []
        self._id = id
        path.mkdir(exist_ok=True)
        self._first = 0
        self._said()
        self._open()

    def _said(self) -> None:
        partial = self.path / ".collect.json.partial"
        partial.write_bytes(orjson.dumps({"version": 1, "id": self._id, "gaps": self.gaps}))
        partial.replace(self.path / ".collect.json")

    def _open(self) -> None:
        self._file = os.open(self.plain(self._first), os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def plain(self, first: int) -> Path:
        return self.path / f"{first:020}.rec.jsonl"

    def packed(self, first: int) -> Path:
        return self.path / f"{first:020}.rec.jsonl.zst"

    def line(self, value: bytes | None, headers: Sequence[tuple[str, bytes]] = NATIVE) -> bytes:
        made = Message(self.source, self.lines, self.time_ms, b"u", list(headers), value)
        self.lines += 1
        return dump_line(made)

    def append(self, value: bytes | None, headers: Sequence[tuple[str, bytes]] = NATIVE) -> None:
        os.write(self._file, self.line(value, headers))

    def write(self, text: bytes) -> None:
        """Write bytes that may be no whole line."""
        os.write(self._file, text)

    def rotate(self, gap: int = 0) -> int:
        """Begin a new segment, which is later than all before it; return the one that is closed."""
        closed = self._first
        os.close(self._file)
        if self.plain(closed).exists() and not self.plain(closed).stat().st_size:
            self.plain(closed).unlink()
        if gap:
            kept = self.plain(closed).read_bytes().count(b"\n") if self.plain(closed).exists() else 0
            self.gaps.append([closed + kept, self.lines + gap])
            self.lines += gap
        self._said()
        self._first = self.lines
        self.time_ms += 1
        self._open()
        return closed

    def closed(self) -> list[int]:
        firsts = sorted({int(name[:20]) for name in os.listdir(self.path) if name[:20].isdigit()})
        return [first for first in firsts if first != self._first]

    def pack(self, first: int | None = None, *, keep_plain: bool = False) -> None:
        """Compress a closed segment, by default the last one; both files are there for a moment."""
        first = self.closed()[-1] if first is None else first
        partial = self.path / f"{first:020}.rec.jsonl.zst.partial"
        data = self.plain(first).read_bytes()
        partial.write_bytes(
            b"".join(zstandard.compress(data[at : at + 999]) for at in range(0, len(data), 999))
        )
        partial.replace(self.packed(first))
        if not keep_plain:
            self.plain(first).unlink()

    def remove(self, first: int) -> None:
        for path in (self.packed(first), self.plain(first)):
            path.unlink(missing_ok=True)

    def cut(self, first: int, size: int) -> None:
        """Take back the end of a segment, as a crash or a failed sync does."""
        os.truncate(self.plain(first), size)

    def passed(self) -> dict[str, int]:
        """Return what the readers have left: how many lines each of them has read."""
        found = {}
        for path in (self.path / ".readers").glob("*"):
            if not path.name.endswith(".partial"):
                said = orjson.loads(path.read_bytes())
                assert said["version"] == 1
                found[path.name] = said["offset"]
        return found
