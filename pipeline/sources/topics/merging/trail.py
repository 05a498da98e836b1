"""Where the chunks of a source partition ended, so that a replay after a crash merges as it did before.

Topics are merged by time among what had been fetched at that moment: an update that came late, with a time
before an event that had already left, follows that event. Read again, both are there at once, and the update
would go first. So the end of each chunk is written down before it leaves, and until all of them have been
replayed each chunk takes exactly the records it took before. A record whose stamp was ahead of the clock then
is written down too: read again, the clock may have caught up with it.

The file lives in the state directory. What is appended is synced as fast as the disk can, by a thread of its
own: after a power cut what left within the last sync or two may merge anew.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import orjson

from pipeline.model.errors import StateError
from pipeline.model.files.disk import make_folder
from pipeline.model.files.log_file import LogFile
from pipeline.sources.topics.merging.side import Run, Side

T = TypeVar("T")

FILE = "trail"
REWRITE_BYTES = 1 << 16
CLAMPED = 1 << 63
"""Marks the line of an entry that is a record ahead of the clock (side, offset), not a chunk's end."""


class Boundary(NamedTuple):
    """The end of a chunk: records handed out in all, and per side the offset of the next one."""

    line: int
    offsets: tuple[int, ...]


def _line(entry: Boundary) -> int:
    return entry.line & ~CLAMPED


class Trail:
    """The trail of one source partition.

    names, base: the sides and where they stand now, at ``line`` records handed out.
    """

    def __init__(self, folder: Path, names: Sequence[str], base: Sequence[int], line: int) -> None:
        make_folder(folder)
        self._path = folder / FILE
        self._names = list(names)
        self._entry = struct.Struct(f">{len(names) + 1}QI")
        self.base, known = self._load(tuple(base))
        recent = [entry for entry in known if _line(entry) > line]
        self.ahead = deque(entry for entry in recent if not entry.line & CLAMPED)
        """Boundaries that the next chunks must have."""
        self.clamped: list[tuple[int, int]] = [entry.offsets[:2] for entry in recent if entry.line & CLAMPED]  # type: ignore[misc]  # two sides at least
        """Which of their records were ahead of the clock: number of the side, offset."""
        if line > 0 or not self.ahead:
            self.base = tuple(base)
        self._recent = deque(recent)
        self._file = LogFile(self._path, self._needed())

    def _load(self, base: tuple[int, ...]) -> tuple[tuple[int, ...], list[Boundary]]:
        """Return the contents of the file: where its first run began, and its boundaries up to a torn end."""
        try:
            names, first, rest = read_head(self._path)
        except FileNotFoundError:
            return base, []
        if names != self._names:
            return base, []
        found: list[Boundary] = []
        for at in range(0, len(rest) - self._entry.size + 1, self._entry.size):
            raw = rest[at : at + self._entry.size]
            line, *offsets, check = self._entry.unpack(raw)
            if zlib.crc32(raw[:-4]) != check:
                break
            found.append(Boundary(line, tuple(offsets)))
        while found and found[-1].line & CLAMPED:
            found.pop()  # the end of their chunk is lost: its records are merged anew
        return tuple(first), found

    def _pack(self, boundary: Boundary) -> bytes:
        raw = self._entry.pack(boundary.line, *boundary.offsets, 0)[:-4]
        return raw + zlib.crc32(raw).to_bytes(4, "big")

    def _needed(self) -> bytes:
        """Return the file with only the boundaries that are still needed."""
        head = orjson.dumps({"names": self._names, "base": self.base}) + b"\n"
        return head + b"".join(map(self._pack, self._recent))

    def note(self, boundary: Boundary, clamped: Sequence[tuple[int, int]] = ()) -> None:
        """Note the end of a chunk that is about to leave, and its records ahead of the clock."""
        rest = (0,) * (len(self._names) - 2)
        entries = [Boundary(boundary.line | CLAMPED, (*record, *rest)) for record in clamped]
        entries.append(boundary)
        self._recent.extend(entries)
        data = b"".join(map(self._pack, entries))
        self._file.append(data)

    def note_runs(self, line: int, sides: Sequence[Side[T]], runs: Sequence[Run[T]]) -> None:
        """Note a chunk of these runs that is about to leave, after ``line`` records; the sides are past it.

        Where a stamp was ahead of the clock the end of each run is noted: their order is not one of times.
        """
        if not any(run.clamped for run in runs):
            ends = tuple([side.next_offset for side in sides])
            self.note(Boundary(line + sum([len(run.offsets) for run in runs]), ends))
            return
        ends_now = {side.name: side.next_offset for side in sides}
        ends_now |= {run.side.name: run.offsets[0] for run in reversed(runs)}
        numbers = {side.name: number for number, side in enumerate(sides)}
        for run in runs:
            line += len(run.offsets)
            ends_now[run.side.name] = run.offsets[-1] + 1
            clamped = [(numbers[run.side.name], offset) for offset in run.clamped]
            self.note(Boundary(line, tuple(ends_now.values())), clamped)

    def forget(self, line: int) -> None:
        """Forget boundaries up to this line: nothing before it is read again."""
        while self._recent and _line(self._recent[0]) <= line:
            self._recent.popleft()
        if self._file.bytes > REWRITE_BYTES:
            self._file.renew(self._needed())

    def begin_anew(self, names: Sequence[str], base: Sequence[int]) -> None:
        """Start anew, because one of the sides is another topic now: nothing before can be read again."""
        self._names, self.base = list(names), tuple(base)
        self._recent.clear()
        self.ahead.clear()
        self._file.close()
        self._file = LogFile(self._path, self._needed())

    def close(self) -> None:
        """Close the file; all of it is on disk then. Never raises."""
        self._file.close(self._needed() if self._file.bytes > REWRITE_BYTES else None)


def read_head(path: Path) -> tuple[list[str], list[int], bytes]:
    """Return a trail's sides, where each stood at its beginning, and its entries. Raises StateError."""
    head, _, rest = path.read_bytes().partition(b"\n")
    try:
        facts = orjson.loads(head)
        names, base = list(facts["names"]), [int(offset) for offset in facts["base"]]
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"{path}: damaged ({error}); it says in which order the topics were merged since the last epoch. "
            "Restore the whole state directory from one backup; or remove the file, and what was sent since "
            "then may be sent again with other bodies."
        ) from error
    return names, base, rest
