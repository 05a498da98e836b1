"""Which lines of a source partition ran under which config version (DESIGN 2, Config).

Two small files per partition: the switches (line number, version), synced before the first chunk under
the new version, and the high-water line, written before each chunk. After a crash the lines below the
high water run again under the versions they ran under before.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_HIGH = struct.Struct("<Q")


class History:
    """The config history of one partition. Lines are counted from the beginning of the partition."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "switches"
        self._switches: list[tuple[int, str]] = []
        if self._path.exists():
            for line in self._path.read_text().splitlines():
                number, version = line.split(" ", 1)
                self._switches.append((int(number), version))
        self._file = os.open(folder / "high-water", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stored = os.pread(self._file, _HIGH.size, 0)
        self.high: int = _HIGH.unpack(stored)[0] if len(stored) == _HIGH.size else 0
        """Lines that have been handed out in this or an earlier run."""

    def version_at(self, line: int) -> str | None:
        """Return the version that the line ran under, None where no line ever ran."""
        found = None
        for number, version in self._switches:
            if number > line:
                break
            found = version
        return found

    def boundary_after(self, line: int) -> int:
        """Return the first line after this one at which the version may be another one."""
        return min([number for number, _ in self._switches if number > line] + [max(self.high, line + 1)])

    def switch(self, line: int, version: str) -> None:
        """From this line on the version holds; on disk when this returns."""
        self._switches = [known for known in self._switches if known[0] < line] + [(line, version)]
        partial = self._path.with_suffix(".partial")
        with partial.open("w") as file:
            file.write("".join(f"{number} {name}\n" for number, name in self._switches))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)

    def forget_before(self, line: int) -> None:
        """Drop switches that no replay can need: the one that holds at this line stays the first."""
        keep = [index for index, (number, _) in enumerate(self._switches) if number <= line]
        if keep:
            self._switches = self._switches[keep[-1] :]

    def emitting(self, line: int) -> None:
        """Lines below this one are about to be handed out."""
        if line > self.high:
            os.pwrite(self._file, _HIGH.pack(line), 0)
            self.high = line

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
