"""Which lines of a source partition ran under which config version (DESIGN 2, Config).

Two small files per partition: the switches (line number, version), synced before the first chunk under
the new version, and the high-water line, written before each chunk. After a crash the lines below the
high water run again under the versions they ran under before.

The high water is not synced for each chunk. Beside it stands a line further on that is: no chunk leaves that
goes beyond it, so after a power cut it is the high water. A crash of the process alone loses nothing that
was written; it is told from a power cut by the machine's boot id.
"""

from __future__ import annotations

import os
import struct
import threading
import uuid
from pathlib import Path

from pipeline.model.disk import make_folder, replace_durably, sync, sync_data

_HIGH = struct.Struct("<QQ16s")
"""The high water, the line up to which it may be higher after a power cut, the boot it was written in."""
_HIGH_ALONE = struct.Struct("<Q")

LEAST_AHEAD = 64
"""What an edit may have to wait for after a power cut where the input is slow, in lines."""
BURST = 8
"""How much faster than in the last epoch the input may come before a chunk waits for the disk."""

_sync = sync_data


class History:
    """The config history of one partition. Lines are counted from the beginning of the partition."""

    def __init__(self, folder: Path, line: int = 0) -> None:
        """line: where the last durable epoch left the partition."""
        make_folder(folder)
        self._path = folder / "switches"
        self._switches: list[tuple[int, str]] = []
        if self._path.exists():
            for text in self._path.read_text().splitlines():
                number, version = text.split(" ", 1)
                self._switches.append((int(number), version))
        self._file = os.open(folder / "high-water", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._boot = boot_id()
        self.high = self._stored()
        """Lines that have been handed out in this or an earlier run."""
        self._synced = self._ahead = self.high
        """Up to where lines may be handed out, and what the file says of that, perhaps not synced yet."""
        self._durable = line
        self._syncing: threading.Thread | None = None
        sync(folder)

    def _stored(self) -> int:
        stored = os.pread(self._file, _HIGH.size, 0)
        if len(stored) == _HIGH.size:
            high, ahead, boot = _HIGH.unpack(stored)
            return int(high) if boot == self._boot else max(int(high), int(ahead))
        return int(_HIGH_ALONE.unpack(stored)[0]) if len(stored) == _HIGH_ALONE.size else 0

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
        lines = (f"{number} {name}\n" for number, name in self._switches)
        replace_durably(self._path, "".join(lines).encode())

    def durable(self, line: int) -> None:
        """Lines below this one will not be read again.

        Switches that no replay can need are dropped: the one that holds at this line stays the first. What
        the next epoch is likely to hand out is made possible meanwhile, so that no chunk waits for the disk.
        """
        keep = [index for index, (number, _) in enumerate(self._switches) if number <= line]
        if keep:
            self._switches = self._switches[keep[-1] :]
        lines, self._durable = line - self._durable, line
        if self._syncing is not None and not self._syncing.is_alive():
            self._syncing = None
        if self.high + lines > self._synced and self._syncing is None:
            self._reach(self.high + 2 * lines + LEAST_AHEAD)
            self._syncing = threading.Thread(target=self._sync_quietly, args=(self._ahead,), daemon=True)
            self._syncing.start()

    def emitting(self, line: int) -> None:
        """Lines below this one are about to be handed out."""
        if line <= self.high:
            return
        if line > self._synced:
            self._make_room(line)
        self.high = line
        self._write()

    def _make_room(self, line: int) -> None:
        """Return when the disk says that this line may have been handed out."""
        if self._syncing is not None:
            self._syncing.join()
            self._syncing = None
        if line > self._synced:
            self._reach(line + max(LEAST_AHEAD, BURST * (line - self._durable)))
            _sync(self._file)
            self._synced = self._ahead

    def _reach(self, ahead: int) -> None:
        self._ahead = max(self._ahead, ahead)
        self._write()

    def _sync_quietly(self, ahead: int) -> None:
        try:
            _sync(self._file)
        except OSError:
            return  # the chunk that needs it meets the same error
        self._synced = max(self._synced, ahead)

    def _write(self) -> None:
        os.pwrite(self._file, _HIGH.pack(self.high, self._ahead, self._boot), 0)

    def close(self) -> None:
        """Let go of the file, with the high water itself on disk. Never raises."""
        if self._syncing is not None:
            self._syncing.join()
        self._ahead = self.high
        try:
            self._write()
            _sync(self._file)
        except OSError:
            pass  # what it says already is true, only less exact
        os.close(self._file)


def boot_id() -> bytes:
    """Return what names this run of the machine; where that is unknown, something that never comes again."""
    try:
        return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
    except (OSError, ValueError):
        return uuid.uuid4().bytes
