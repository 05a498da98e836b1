"""``hookline record``: saves incoming records as JSON lines with origin, key and headers.

The lines of a source partition are in the order in which the job would have taken them. Each is there at
least once; in fact once, as long as the topics still hold what was read after the last sync.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson

from pipeline.model.errors import Fatal, StateError, reason
from pipeline.model.files.disk import locked, make_folder, remove_partials, replace_durably
from pipeline.recording.segments import STATE, SUFFIX, Compression, Segment, unknown
from pipeline.sources.chunk import CHUNK_LINES, Position, RawChunk
from pipeline.sources.files.lines.recorded import Message, dump_line
from pipeline.sources.files.merging.running_time import AHEAD_MS, VOTES
from pipeline.sources.reader import Reader, Source

IDLE_SECS = 0.005
UNSYNCED_BYTES = 32 << 20
"""The most that waits in memory for a sync."""


FIELDS: dict[str, type | tuple[type, ...]] = {
    "position": list,
    "first": int,
    "bytes": int,
    "latest": (int, type(None)),
    "compression": str,
}
"""The saved state of a partition."""


@dataclass(slots=True)
class Recorded:
    """What this run has written so far."""

    records: int = 0
    bytes: int = 0
    """Of JSON lines, before compression."""
    files: list[str] = field(default_factory=list)
    """Files that were begun."""


def record(
    source: Source,
    out: Path,
    *,
    compression: Compression = "zst",
    rotate_bytes: int = 256 << 20,
    rotate_secs: float = 3600.0,
    sync_secs: float = 1.0,
    stopping: Callable[[], bool] = lambda: False,
    progress: Callable[[Recorded], None] = lambda recorded: None,
    clock: Callable[[], float] = time.monotonic,
    idle: Callable[[float], None] = time.sleep,
) -> Recorded:
    """Write every partition of the source below ``out`` until all are done or ``stopping()`` says so.

    Continues where an earlier call on the same directory stopped. rotate_bytes counts bytes on disk.
    ``progress`` is called at every sync. Raises StateError where another process records there or the files
    are not as they were written; Fatal where the disk or the source fails.
    """
    recorded = Recorded()
    with ExitStack() as stack:
        _lock(out, stack)
        stored = _load(out)
        recorders = []
        for name in source.list_partitions():
            saved = stored.get(name)
            if saved is None:
                _refuse_files(out / name)
            reader = source.open(name, _tuples(saved["position"]) if saved else None)
            stack.callback(reader.close)
            recorder = PartitionRecorder(
                reader, out / name, saved, compression, rotate_bytes, rotate_secs, recorded, clock
            )
            stack.callback(recorder.close)
            recorders.append(recorder)

        def save() -> None:
            for recorder in recorders:
                stored[recorder.reader.name] = recorder.sync()
            _save(out, stored)
            for recorder in recorders:
                recorder.reader.durable(recorder.written)
            progress(recorded)

        # Before the first line is kept: once the place of `latest` is known, a power cut makes no gap.
        _save(out, stored | {recorder.reader.name: recorder.sync() for recorder in recorders})
        for recorder in recorders:
            recorder.reader.durable(recorder.written)
        synced = clock()
        while True:
            moved = [recorder.advance(save) for recorder in recorders]
            ended = stopping() or all(recorder.reader.done for recorder in recorders)
            full = sum(recorder.segment.waiting_bytes for recorder in recorders) >= UNSYNCED_BYTES
            if ended or full or clock() >= synced + sync_secs:
                synced = clock()
                save()
            if ended:
                return recorded
            if not any(moved):
                idle(IDLE_SECS)


class PartitionRecorder:
    """One source partition: its reader, and its current file."""

    def __init__(
        self,
        reader: Reader,
        folder: Path,
        saved: dict[str, Any] | None,
        compression: Compression,
        rotate_bytes: int,
        rotate_secs: float,
        recorded: Recorded,
        clock: Callable[[], float],
    ) -> None:
        self.reader = reader
        self._folder = folder
        self._compression = compression
        self._rotate_bytes = rotate_bytes
        self._rotate_secs = rotate_secs
        self._recorded = recorded
        self._clock = clock
        self.written: Position = reader.position
        """The reader's position after the last line that was written."""
        self._latest: int | None = None
        """Running maximum of the broker times in the file, except those ahead of the clock."""
        self._since_ahead = VOTES
        """Records since the last of those; large where there was none."""
        if saved is None:
            self._begin()
        else:
            kept: Compression = saved["compression"]
            self._first, self._latest, self._began = saved["first"], saved["latest"], clock()
            self._kind = kept
            self._since_ahead = saved.get("since_ahead", VOTES)
            self.segment = Segment(folder, self._first, kept, keep_bytes=saved["bytes"])

    def _begin(self) -> None:
        self._first = self.written[1]
        self._since_ahead = VOTES
        self._kind, self._latest, self._began = self._compression, None, self._clock()
        self.segment = Segment(self._folder, self._first, self._compression)
        self._recorded.files.append(str(self.segment.path))

    def advance(self, save: Callable[[], None]) -> bool:
        """Write one chunk if there is one; return whether there was. ``save`` makes everything durable."""
        chunk = self.reader.read(CHUNK_LINES)
        if chunk is None:
            return False
        if self._may_rotate(chunk):
            save()
            self.segment.close()
            self._begin()
            save()
        before = self.segment.waiting_bytes
        for message in messages(chunk):
            self.segment.write(dump_line(message))
            if message.time is not None:
                self._pass(message.time)
        self._recorded.bytes += self.segment.waiting_bytes - before
        self._recorded.records += len(chunk)
        self.written = chunk.position
        return True

    def _pass(self, time_ms: int) -> None:
        """Advance the file's time; a timestamp far ahead must not be among the last that a reader sees."""
        known = [time.time_ns() // 1_000_000] + ([] if self._latest is None else [self._latest])
        if time_ms > max(known) + AHEAD_MS:
            self._since_ahead = 0
            return
        self._latest = time_ms if self._latest is None else max(self._latest, time_ms)
        self._since_ahead += 1

    def _may_rotate(self, chunk: RawChunk) -> bool:
        """Return whether the file is large or old enough, and the chunk may start a new one.

        Readers merge files by the running maximum of their times: a new one must begin later than everything
        before it, or its lines would overtake them.
        """
        due = self.segment.size >= self._rotate_bytes or self._clock() >= self._began + self._rotate_secs
        time_ms = chunk.received[0] if chunk.received else None
        if not due or time_ms is None or self.segment.size + self.segment.waiting_bytes == 0:
            return False
        return self._latest is not None and time_ms > self._latest and self._since_ahead >= VOTES

    def sync(self) -> dict[str, Any]:
        """Sync what was written; return the position to resume from, as JSON data."""
        self.segment.sync()
        return {
            "position": self.written,
            "first": self._first,
            "bytes": self.segment.size,
            "latest": self._latest,
            "since_ahead": self._since_ahead,
            "compression": self._kind,
        }

    def close(self) -> None:
        """Close the file."""
        self.segment.close()


def messages(chunk: RawChunk) -> list[Message]:
    """Return the lines of a chunk as messages of a recording."""
    sources = [chunk.sources] * len(chunk) if isinstance(chunk.sources, str) else chunk.sources
    nothing = [None] * len(chunk)
    return [
        Message(*fields)
        for fields in zip(
            sources,
            chunk.offsets,
            chunk.received or nothing,
            chunk.keys or nothing,
            chunk.headers or nothing,
            chunk.lines,
            strict=True,
        )
    ]


def _lock(out: Path, stack: ExitStack) -> None:
    try:
        make_folder(out)
        stack.callback(os.close, locked(out / ".lock"))
        remove_partials(out)
    except BlockingIOError:
        raise StateError(f"another process records to {out}") from None
    except OSError as error:
        raise Fatal(f"cannot record to {out}: {reason(error)}") from None


def _refuse_files(folder: Path) -> None:
    """Raise StateError where a partition has lines but no saved state."""
    for path in sorted(folder.glob("*.jsonl*")):
        if path.name.endswith(tuple(SUFFIX.values())) and path.stat().st_size:
            raise unknown(path)


def _load(out: Path) -> dict[str, dict[str, Any]]:
    path = out / STATE
    if not path.exists():
        return {}
    try:
        state = orjson.loads(path.read_bytes())
        if state["version"] != 1:
            raise StateError(f"{path} is of version {state['version']}, 1 is known")
        partitions: dict[str, dict[str, Any]] = state["partitions"]
        # Older versions wrote no checksum.
        if state.get("crc", _crc(partitions)) != _crc(partitions):
            raise ValueError("its checksum is another one")
        for saved in partitions.values():
            for field, kind in FIELDS.items():
                if not isinstance(saved[field], kind):
                    raise TypeError(f"`{field}` is not what it should be")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"{path} is damaged ({error}): record into another directory") from None
    return partitions


def _crc(partitions: dict[str, dict[str, Any]]) -> int:
    return crc32(orjson.dumps(partitions, option=orjson.OPT_SORT_KEYS))


def _save(out: Path, partitions: dict[str, dict[str, Any]]) -> None:
    try:
        replace_durably(
            out / STATE, orjson.dumps({"version": 1, "partitions": partitions, "crc": _crc(partitions)})
        )
    except OSError as error:
        raise Fatal(f"cannot record to {out}: {reason(error)}") from None


def _tuples(value: Any) -> Any:
    """Return JSON data with lists turned into tuples, the form of a position."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
