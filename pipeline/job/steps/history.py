"""Which lines of a source partition ran under which config version (DESIGN 2, Config).

Two small files per partition: the switches (line number, version), synced before the first chunk under the
new version, and the high-water line, written before each chunk. After a crash the lines below the high-water
mark run again under the versions they ran under before.

The high-water mark is not synced for each chunk. A line further ahead, stored beside it, is: no chunk beyond
that line leaves, so after a power cut it serves as the mark. A crash of the process alone loses nothing that
was written; the machine's boot id distinguishes it from a power cut.
"""

from __future__ import annotations

import os
import struct
import threading
import uuid
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from pipeline.model.errors import StateError
from pipeline.model.files.disk import make_folder, replace_durably, sync, sync_data
from pipeline.model.process.private import NEVER_FOLLOWED

SWITCHES, HIGH = "switches", "high-water"

_HIGH = struct.Struct("<QQ16s")
"""The high-water mark, the line up to which it may be higher after a power cut, the boot id."""
_CHECKS = struct.Struct("<III")
"""Then the checksums of the last two files of switches, and one of the whole. Older versions wrote none."""
_WHOLE, _CRC = struct.Struct("<QQ16sIII"), struct.Struct("<I")
_HIGH_ALONE = struct.Struct("<Q")

LEAST_AHEAD = 64
"""Lines that an edit may have to wait for after a power cut where the input is slow."""
BURST = 8
"""How much faster than in the last epoch the input may come before a chunk waits for the disk."""

_sync = sync_data


class History:
    """The config history of one partition. Lines are counted from the beginning of the partition."""

    def __init__(self, folder: Path, line: int = 0) -> None:
        """line: where the last durable epoch left the partition."""
        make_folder(folder)
        self._path = folder / SWITCHES
        self._boot = boot_id()
        noted = read_high(folder / HIGH, needed=line > 0)
        text = read_switches(self._path, noted.switches, needed=line > 0)
        self._switches = parse_switches(self._path, text)
        self._checks = (crc32(text), crc32(text))
        if not noted.switches:
            # Complete before it is overwritten in place: a power cut must not leave part of an initial file.
            replace_durably(folder / HIGH, _packed(noted.high, noted.ahead, noted.boot, self._checks))
        self._file = os.open(folder / HIGH, os.O_RDWR | NEVER_FOLLOWED)
        self.high = noted.after(self._boot)
        """Lines that have been handed out in this or an earlier run."""
        self._synced = self._ahead = self.high
        """Up to where lines may be handed out, and what the file says of that, perhaps not synced yet."""
        self._durable = line
        self._syncing: threading.Thread | None = None
        sync(folder)

    def version_at(self, line: int) -> str | None:
        """Return the version under which the line ran, None where no line ever ran."""
        found = None
        for number, version in self._switches:
            if number > line:
                break
            found = version
        return found

    def boundary_after(self, line: int) -> int:
        """Return the first line after this one at which the version may change."""
        return min([number for number, _ in self._switches if number > line] + [max(self.high, line + 1)])

    def switch(self, line: int, version: str) -> None:
        """From this line on the version applies; on disk when this returns."""
        self._switches = [known for known in self._switches if known[0] < line] + [(line, version)]
        text = "".join(f"{number} {name}\n" for number, name in self._switches).encode()
        self._checks = self._checks[1], crc32(text)
        self._write()
        _sync(self._file)
        replace_durably(self._path, text)

    def durable(self, line: int) -> None:
        """Lines below this one will not be read again.

        Switches that no replay can need are dropped: the one that applies at this line stays first. The line
        ahead is moved beyond what the next epoch is likely to hand out, so that no chunk waits for the disk.
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
        """Sync the permission to hand out this line."""
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
        os.pwrite(self._file, _packed(self.high, self._ahead, self._boot, self._checks), 0)

    def close(self) -> None:
        """Close the file, with the high-water mark itself on disk. Never raises."""
        if self._syncing is not None:
            self._syncing.join()
        self._ahead = self.high
        try:
            self._write()
            _sync(self._file)
        except OSError:
            pass  # what it says already is true, only less exact
        os.close(self._file)


def _packed(high: int, ahead: int, boot: bytes, checks: tuple[int, int]) -> bytes:
    whole = _WHOLE.pack(high, ahead, boot, *checks, 0)
    return whole[: -_CRC.size] + _CRC.pack(crc32(whole))


class Noted(NamedTuple):
    """The contents of a high-water file."""

    high: int
    ahead: int
    boot: bytes
    switches: tuple[int, ...] = ()
    """The possible checksums of the file of switches; empty: an older version wrote it."""

    def after(self, boot: bytes) -> int:
        """Return the high-water mark as known in this boot of the machine."""
        return self.high if self.boot == boot else max(self.high, self.ahead)


def read_high(path: Path, *, needed: bool) -> Noted:
    """Return the contents of a high-water file. Raises StateError where it is damaged, or missing
    but needed.
    """
    stored = path.read_bytes() if path.exists() else b""
    if len(stored) >= _HIGH.size + _CHECKS.size:
        data = stored[: _HIGH.size]
        before, now, crc = _CHECKS.unpack_from(stored, _HIGH.size)
        if crc != crc32(data + _CHECKS.pack(before, now, 0)):
            raise _damaged(path, "its checksum is another one")
        high, ahead, boot = _HIGH.unpack(data)
        return Noted(high, ahead, boot, (before, now))
    if len(stored) == _HIGH.size:
        return Noted(*_HIGH.unpack(stored))
    if len(stored) == _HIGH_ALONE.size:
        return Noted(_HIGH_ALONE.unpack(stored)[0], 0, b"")
    if stored or needed:
        raise _damaged(path, f"it has {len(stored)} bytes")
    return Noted(0, 0, b"")


def read_switches(path: Path, checks: tuple[int, ...], *, needed: bool) -> bytes:
    """Return a file of switches. Raises StateError where it is damaged, or missing but needed.

    checks: its possible checksums, if known.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        if needed:
            raise _damaged(path, "it is gone") from None
        return b""
    if checks and crc32(text) not in checks:
        raise _damaged(path, "its checksum is another one")
    return text


def parse_switches(path: Path, text: bytes) -> list[tuple[int, str]]:
    """Return the lines at which the version changes, each with the new version. Raises StateError."""
    try:
        rows = [line.split(" ", 1) for line in text.decode().splitlines()]
        return [(int(number), version) for number, version in rows]
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> StateError:
    return StateError(
        f"{path}: damaged ({why}); it says which config version the lines since the last epoch ran under. "
        "Restore the whole state directory from one backup, or start with an empty one."
    )


def boot_id() -> bytes:
    """Return the id of this boot of the machine; where unknown, a unique one."""
    try:
        return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
    except (OSError, ValueError):
        return uuid.uuid4().bytes
