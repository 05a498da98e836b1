"""The files of a recording while it is written: one per source partition, rotated, compressed.

    DIR/kafka-0/00000000000000000000.rec.jsonl.zst      named after the number of records before it
    DIR/kafka-0/00000000000000104212.rec.jsonl.zst
    DIR/.record.json                                    where each partition stands, see recording/record.py

What `sync` has returned for is on disk, as whole compressed frames: a file that is cut there is a whole file.
"""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path
from typing import Literal

import zstandard

from pipeline.model.errors import Fatal, StateError, reason
from pipeline.model.files.disk import append_all, is_in_place, make_folder, sync

Compression = Literal["zst", "gz", "none"]

STATE = ".record.json"
"""The state of each partition; on disk before the partition's first line."""

SUFFIX: dict[str, str] = {"zst": ".jsonl.zst", "gz": ".jsonl.gz", "none": ".jsonl"}
"""After ``.rec``, which older versions omitted: files that they began keep their names."""


class Segment:
    """One file, appended to in frames."""

    def __init__(
        self, folder: Path, first: int, compression: Compression, *, keep_bytes: int | None = None
    ) -> None:
        """Continue after the first ``keep_bytes`` of the file: what follows is read again and is cut off.
        None: start the file. Raises StateError where it is shorter, or is to be started but not empty; Fatal
        where it cannot be written.
        """
        self.path = folder / f"{first:020}.rec{SUFFIX[compression]}"
        old = folder / f"{first:020}{SUFFIX[compression]}"
        if keep_bytes is not None and old.exists() and not self.path.exists():
            self.path = old
        self._compression = compression
        self._waiting: list[bytes] = []
        self.waiting_bytes = 0
        try:
            make_folder(folder)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            size = os.fstat(self._file).st_size
            if keep_bytes is None:
                if size:
                    raise unknown(self.path)
                keep_bytes = 0
            if size < keep_bytes:
                raise StateError(
                    f"{self.path} has {size} bytes, {keep_bytes} were written: put the file back, "
                    "or record into another directory"
                )
            os.ftruncate(self._file, keep_bytes)
            os.lseek(self._file, keep_bytes, os.SEEK_SET)
            sync(folder)
        except OSError as error:
            raise Fatal(f"cannot record to {self.path}: {reason(error)}") from None
        self.size = keep_bytes
        """Bytes of the file that are on disk."""

    def write(self, line: bytes) -> None:
        """Take a line with its line end; it is on disk once `sync` has returned."""
        self._waiting.append(line)
        self.waiting_bytes += len(line)

    def sync(self) -> None:
        """Write what waits as one frame and sync it. Raises Fatal where that fails."""
        if not self._waiting:
            return
        frame = _packed(b"".join(self._waiting), self._compression)
        try:
            append_all(self._file, frame)
            os.fsync(self._file)
            if not is_in_place(self._file, self.path):
                raise FileNotFoundError(errno.ENOENT, "it was moved or removed while it grew; put it back")
        except OSError as error:
            raise Fatal(
                f"cannot record to {self.path}: {reason(error)}; the next start goes on from here"
            ) from None
        self.size += len(frame)
        self._waiting.clear()
        self.waiting_bytes = 0

    def close(self) -> None:
        """Close the file if it is open; what was not synced is dropped."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def unknown(path: Path) -> StateError:
    """Return the message about a file of which no state is known."""
    return StateError(
        f"{path} was recorded before, but {STATE} does not say where it ends and what comes next: "
        f"record into another directory, or put {STATE} back"
    )


def _packed(data: bytes, compression: Compression) -> bytes:
    if compression == "zst":
        return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(data)
    if compression == "gz":
        return gzip.compress(data, compresslevel=6, mtime=0)
    return data
