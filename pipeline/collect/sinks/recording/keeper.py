"""The thread beside the writer: compresses closed segments and deletes those that every reader has read."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import orjson
import zstandard

from pipeline.collect.sinks.recording.folder import Folder
from pipeline.config.models.installation.collect import CollectSection
from pipeline.model.files.disk import free_bytes, sync, sync_data
from pipeline.model.process.private import NEVER_FOLLOWED
from pipeline.sources.files.collected.passed import FOLDER
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import COLLECT_NOT_LOOKED_AFTER, COLLECT_READER_DAMAGED
from pipeline.telemetry.metrics import gauge

log = logging.get(__name__)

LOOK_SECS = 5.0
"""How often is looked for segments that all have read."""
FRAME_BYTES = 1 << 20
"""Compressed at once. Pauses between: requests come first, on the processor and on the disk."""
SYNC_BYTES = 2 << 20


class Keeper:
    """Looks after what is closed. `close` ends it."""

    def __init__(
        self, folder: Folder, section: CollectSection, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder, self._section, self._clock = folder, section, clock
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collect-keeper", daemon=True)

    def start(self) -> None:
        """Let the thread look from now on."""
        self._thread.start()

    def closed(self) -> None:
        """A segment was closed: see to it."""
        self._wake.set()

    def make_room(self, size: int) -> None:
        """Return where so many bytes fit above the reserve, at the cost of what all have read.

        Raises OSError (ENOSPC) where they do not.
        """
        if self._fits(size):
            return
        for first in self._passed():
            self._remove(first)
            if self._fits(size):
                return
        least = f"{self._section.reserve_bytes:,} bytes (`reserve`)"
        raise OSError(errno.ENOSPC, f"less than {least}, or room for few more files (`df -i`), is free")

    def has_room(self) -> bool:
        """Return whether anything fits above the reserve now."""
        return self._fits(0)

    def close(self) -> None:
        """End the thread; what it was compressing is compressed after the next start."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Compress what is closed; remove what all have read and was kept long enough. Raises OSError."""
        for first in sorted(self._folder.known.closed):
            if self._stopping.is_set():
                return
            self._pack(first)
        now = self._clock()
        if not self.has_room():
            with contextlib.suppress(OSError):
                self.make_room(0)
        for first in self._passed():
            if now - self._folder.closed_at(first) < self._section.retain_secs:
                return
            self._remove(first)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
                self._measure()
            except Exception as error:
                COLLECT_NOT_LOOKED_AFTER.happened(log, folder=str(self._folder.path), reason=str(error))
            self._wake.wait(LOOK_SECS)
            self._wake.clear()

    def _measure(self) -> None:
        """Bring the metrics of the files up to date."""
        firsts, size = self._folder.firsts(), 0
        for first in firsts:
            for path in (self._folder.packed(first), self._folder.plain(first)):
                with contextlib.suppress(FileNotFoundError):
                    size += path.stat().st_size
        gauge("collect_segments", len(firsts))
        gauge("collect_disk_bytes", size)

    def _fits(self, size: int) -> bool:
        return free_bytes(self._folder.path) - size >= self._section.reserve_bytes

    def _passed(self) -> list[int]:
        """Return the closed segments that every reader has passed, the oldest first."""
        passed = passed_line(self._folder.path, self._section.keep_secs, self._clock())
        firsts = self._folder.firsts() if passed else []
        # The last one grows, or is about to be begun.
        return [first for first, end in pairwise(firsts) if end <= passed]

    def _remove(self, first: int) -> None:
        with self._folder.changing:
            self._folder.known.closed.pop(first, None)
            for path in (self._folder.packed(first), self._folder.plain(first)):
                path.unlink(missing_ok=True)
        log.info("a segment is gone: all have read it", folder=str(self._folder.path), first=first)

    def _pack(self, first: int) -> None:
        """Compress a segment; at every instant one whole file of it is there."""
        plain, packed, partial = (
            of(first) for of in (self._folder.plain, self._folder.packed, self._folder.partial)
        )
        try:
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                if not self._compress(plain, partial, self._folder.known.closed.get(first, 0)):
                    return
                with self._folder.changing:
                    if plain.exists():
                        partial.replace(packed)
                        # Before the plain one goes: a power cut must not find neither.
                        sync(self._folder.path)
                        plain.unlink()
                    self._folder.known.closed.pop(first, None)
        finally:
            partial.unlink(missing_ok=True)

    def _compress(self, plain: Path, partial: Path, size: int) -> bool:
        """Write a compressed copy of the first ``size`` bytes; False where a stop was asked for."""
        compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NEVER_FOLLOWED
        with plain.open("rb") as source, open(os.open(partial, flags, 0o600), "wb", buffering=0) as target:
            unsynced = 0
            while data := source.read(min(FRAME_BYTES, size)):
                size -= len(data)
                frame = compressor.compress(data)
                target.write(frame)
                unsynced += len(frame)
                if unsynced >= SYNC_BYTES:
                    sync_data(target.fileno())
                    unsynced = 0
                if self._stopping.wait(0.004):
                    return False
            times = os.fstat(source.fileno())
            os.utime(target.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))
            os.fsync(target.fileno())
        return True


def passed_line(folder: Path, keep_secs: float, now: float) -> int:
    """Return the first line that some reader still needs; 0 where nobody reads, or one is not understood.

    A reader whose file is older than ``keep_secs`` at ``now`` (unix seconds) is not waited for.
    """
    try:
        with os.scandir(folder / FOLDER) as entries:
            places = [_line(Path(entry.path)) for entry in entries if _counts(entry, keep_secs, now)]
    except OSError:
        return 0
    return min(places, default=0)


def _counts(entry: os.DirEntry[str], keep_secs: float, now: float) -> bool:
    # A file that is being replaced has another name meanwhile.
    if entry.name.startswith(".") or entry.name.endswith(".partial"):
        return False
    try:
        return now - entry.stat().st_mtime <= keep_secs
    except FileNotFoundError:
        return False


def _line(path: Path) -> int:
    try:
        said = orjson.loads(path.read_bytes())
        if said["version"] != 1 or type(said["offset"]) is not int or said["offset"] < 0:
            raise ValueError("version 1 with an offset is known")
        return int(said["offset"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        # The job replaces it at its next epoch; until then it may need everything.
        COLLECT_READER_DAMAGED.happened(log, file=str(path), reason=str(error))
        return 0
