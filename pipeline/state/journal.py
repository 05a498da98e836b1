"""The journal: what became of attempts since the last commit (DESIGN 6, rule 6).

One file per generation, named after the store's sequence number when it was begun. An entry is length,
CRC-32 and a packed result. Writes are not synced: they survive the death of the process, and after a
power cut the torn tail is ignored.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

from pipeline.state.codec import Finished, pack_result, unpack_result
from pipeline.state.handover import Outcome, Result

_ENTRY = struct.Struct("<II")
_MAX_ENTRY = 1 << 20


class Journal:
    """The journal of one shard, appended by the engine's thread under the port's lock."""

    def __init__(self, folder: Path, generation: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._generation = generation
        self._file: int | None = None

    def append(self, results: list[Result], now_ms: int) -> None:
        """Write the results with one unsynced write; what is parked says nothing new and is left out."""
        entries: list[bytes] = []
        for result in results:
            if result.outcome is not Outcome.PARKED:
                data = pack_result(result)
                entries.append(_ENTRY.pack(len(data), zlib.crc32(data)))
                entries.append(data)
        if not entries:
            return
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(_path(self._folder, self._generation), flags, 0o600)
        _write_all(self._file, b"".join(entries))

    def switch(self, generation: int) -> None:
        """Write the following results to the file of another generation."""
        if generation == self._generation:
            return
        self._generation = generation
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def close(self) -> None:
        """Close the file; what was written stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_journal(folder: Path, since: int) -> list[Finished]:
    """Return the results of generations ``since`` and later, in order; earlier generations are deleted.

    A torn tail is cut off, so that a later append cannot end up behind it.
    """
    found: list[Finished] = []
    for generation, path in _generations(folder):
        if generation < since:
            path.unlink(missing_ok=True)
            continue
        data = path.read_bytes()
        end = 0
        while end + _ENTRY.size <= len(data):
            length, crc = _ENTRY.unpack_from(data, end)
            body = data[end + _ENTRY.size : end + _ENTRY.size + length]
            if length > _MAX_ENTRY or len(body) < length or zlib.crc32(body) != crc:
                break
            found.append(unpack_result(body))
            end += _ENTRY.size + length
        if end < len(data):
            os.truncate(path, end)
    return found


def delete_before(folder: Path, generation: int) -> None:
    """Delete the generations below this one: their results are in a durable epoch."""
    for number, path in _generations(folder):
        if number < generation:
            path.unlink(missing_ok=True)


def _generations(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    return sorted((int(path.stem), path) for path in folder.glob("*.journal"))


def _path(folder: Path, generation: int) -> Path:
    return folder / f"{generation:012d}.journal"


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
