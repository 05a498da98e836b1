"""The journal: outcomes of attempts since the last commit (DESIGN 6, rule 6).

One file per generation, named after the store's sequence number when it was begun. An entry is length,
CRC-32 and a packed result. Writes are not synced: they survive the death of the process, and after a
power cut the torn tail is ignored.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

from pipeline.model.errors import StateError
from pipeline.model.files.disk import append_all, make_folder, replace_durably
from pipeline.model.process.private import NEVER_FOLLOWED
from pipeline.outbox.codec import Finished, pack_result, unpack_result
from pipeline.outbox.handover import Outcome, Result

_ENTRY = struct.Struct("<II")
_MIN_ENTRY = 16
"""Shorter ones are not results: after a power cut a tail may be all zeros, and the CRC of nothing is zero."""
_MAX_ENTRY = 1 << 20


class Journal:
    """The journal of one shard, appended by the engine's thread under the port's lock."""

    def __init__(self, folder: Path, generation: int) -> None:
        make_folder(folder)
        self._folder = folder
        self._generation = generation
        self._on_disk = {number for number, _ in generations(folder)}
        self._file: int | None = None

    def append(self, results: list[Result], now_ms: int) -> None:
        """Write the results with one unsynced write; parked deliveries have nothing new and are omitted."""
        parked = Outcome.PARKED
        entries: list[bytes] = []
        for result in results:
            outcome, of = result.outcome, result.delivery
            if outcome is not parked:
                data = pack_result(of.request.key, of.row, outcome, result.reason, of.progress)
                entries += (_ENTRY.pack(len(data), zlib.crc32(data)), data)
        if not entries:
            return
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | NEVER_FOLLOWED
            self._file = os.open(_path(self._folder, self._generation), flags, 0o600)
            self._on_disk.add(self._generation)
        append_all(self._file, b"".join(entries))

    def switch(self, generation: int) -> None:
        """Write the following results to another generation's file."""
        if generation == self._generation:
            return
        self._generation = generation
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def forget_before(self, generation: int) -> None:
        """Delete the generations below this one: their results are in a durable epoch."""
        for number in [number for number in tuple(self._on_disk) if number < generation]:
            _path(self._folder, number).unlink(missing_ok=True)
            self._on_disk.discard(number)

    def close(self) -> None:
        """Close the file; what was written stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_journal(folder: Path, since: int) -> list[Finished]:
    """Return the last result of each delivery key in generations ``since`` and later.

    Earlier generations are deleted. The returned results are moved to the file of ``since`` alone: after an
    undo the next results are appended there, and a later generation left beside it would be read after them
    although it is older.
    """
    found: dict[bytes, bytes] = {}
    later: list[Path] = []
    torn = False
    for generation, path in generations(folder):
        if generation < since:
            path.unlink(missing_ok=True)
            continue
        if generation > since:
            later.append(path)
        entries, whole = _entries(path.read_bytes())
        torn |= not whole
        for entry in entries:
            found[unpack_result(entry).key] = entry
    if torn or later:
        replace_durably(_path(folder, since), b"".join(map(_framed, found.values())))
        for path in later:
            path.unlink()
    return [unpack_result(entry) for entry in found.values()]


def _entries(data: bytes) -> tuple[list[bytes], bool]:
    """Return the complete entries of a file, and False where a torn one follows them."""
    found: list[bytes] = []
    end = 0
    while end + _ENTRY.size <= len(data):
        length, crc = _ENTRY.unpack_from(data, end)
        entry = data[end + _ENTRY.size : end + _ENTRY.size + length]
        if not _MIN_ENTRY <= length <= _MAX_ENTRY or len(entry) < length or zlib.crc32(entry) != crc:
            break
        found.append(entry)
        end += _ENTRY.size + length
    return found, end == len(data)


def _framed(entry: bytes) -> bytes:
    return _ENTRY.pack(len(entry), zlib.crc32(entry)) + entry


def generations(folder: Path) -> list[tuple[int, Path]]:
    """Return the journals of a folder by generation; raises StateError for any other file."""
    if not folder.is_dir():
        return []
    paths = list(folder.glob("*.journal"))
    for path in paths:
        if not path.stem.isdecimal():
            raise StateError(
                f"{path}: not the name of a journal; no version of Hookline wrote it. Move it out of the "
                "state directory."
            )
    return sorted((int(path.stem), path) for path in paths)


def _path(folder: Path, generation: int) -> Path:
    return folder / f"{generation:012d}.journal"
