"""The segment being written: append, sync, and truncate after a failed write."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from pipeline.model.files.disk import append_all, is_in_place, sync, sync_data
from pipeline.model.process.private import NEVER_FOLLOWED


class Segment:
    """A file that is begun. Raises OSError where it cannot be made, or where lines stand there."""

    def __init__(self, path: Path, first: int) -> None:
        self.path, self.first = path, first
        self.size = 0
        """Bytes that are on disk, all of them whole lines."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | NEVER_FOLLOWED, 0o600)
        # What could not be removed after a failure is there, and empty.
        self.size = os.fstat(self._file).st_size
        try:
            if self.size:
                raise FileExistsError(errno.EEXIST, f"there are lines already in {path}")
            sync(path.parent)
        except BaseException:
            self.give_up()
            raise

    def append(self, lines: bytes) -> None:
        """Return when the lines are on disk, in their place. After an OSError only `give_up` may follow."""
        append_all(self._file, lines)
        sync_data(self._file)
        if not self.is_in_place():
            raise FileNotFoundError(errno.ENOENT, "it was moved or removed while it grew", str(self.path))
        self.size += len(lines)

    def is_in_place(self) -> bool:
        """Return whether readers find the file."""
        return is_in_place(self._file, self.path)

    def give_up(self) -> None:
        """Let go of a file that could not be written, cut back to what is on disk, without another sync.

        After a sync that failed another one may return although nothing was written (fsyncgate): what it
        says of this descriptor is worth nothing.
        """
        with contextlib.suppress(OSError):
            if self.size:
                os.ftruncate(self._file, self.size)
            elif self.is_in_place():
                self.path.unlink()
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
