"""Repairs what a crash left in a collector's folder, before anything is written."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from math import inf
from pathlib import Path

import zstandard

from pipeline.collect.sinks.recording.folder import GAP, PARTIAL, Folder, remedy
from pipeline.model.errors import Fatal
from pipeline.model.files.disk import sync
from pipeline.telemetry import log as logging

log = logging.get(__name__)

_HEAD = rb'\{"hookline":1,"source":"collect-[0-9a-f]{8}/0","offset":(\d+),"time":(\d+)'
_LINE = re.compile(_HEAD + rb"[^\n\0]*\}\n")
"""A whole line. A file system may leave zeros where it had not written yet."""
_BEGIN = re.compile(_HEAD)
_LINE_END = ord("\n")
_SAME = re.compile(
    _HEAD + rb'(?:,"key":(?:"(?:[^"\\]|\\.)*"|\{[^}]*\}))?,"headers":\[\["hk-same","([0-9a-f]+)"\]'
)


def mend(folder: Folder) -> None:
    """Cut what is torn, note down what no one closed, and say where to go on. Raises Fatal.

    Lines that were synced are all kept. Of what was not, whole lines may be kept: nobody was told that they
    are.
    """
    try:
        _mend(folder)
    except OSError as error:
        raise Fatal(f"cannot go on in {folder.path}: {error.strerror}. {remedy(error)}") from None


def _mend(folder: Folder) -> None:
    known = folder.known
    for name in os.listdir(folder.path):
        if name.endswith(PARTIAL):
            (folder.path / name).unlink()
    next_line, time_ms, crashed = known.next_line, known.time_ms, not known.clean
    for first in folder.firsts():
        plain = folder.plain(first)
        if folder.packed(first).exists():
            plain.unlink(missing_ok=True)
            known.closed.pop(first, None)
        elif first in known.closed:
            _cut(plain, known.closed[first])
        else:
            crashed = True
            next_line = max(next_line, first)
            size, last = whole_lines(plain)
            _cut(plain, size)
            if last is None:
                plain.unlink()
            else:
                known.closed[first] = size
                next_line, time_ms = max(next_line, last[0] + 1), max(time_ms, last[1])
    known.closed = {first: size for first, size in known.closed.items() if folder.plain(first).exists()}
    known.next_line = next_line + GAP if crashed else next_line
    folder.skip(next_line, known.next_line)
    known.time_ms, known.clean = time_ms, False
    folder.save()


def whole_lines(path: Path) -> tuple[int, tuple[int, int] | None]:
    """Return how many bytes of a file are whole lines from its beginning, and number and time of the last."""
    if not path.stat().st_size:
        return 0, None
    last, end = None, 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while (found := _LINE.match(data, end)) is not None:
            last, end = (int(found[1]), int(found[2])), found.end()
    return end, last


def lately(folder: Folder, since_ms: float, most: int) -> list[tuple[int, bytes]]:
    """Return time and digest of the lines since then, at most so many, the oldest first."""
    kept: list[list[tuple[int, bytes]]] = []
    for first in reversed(folder.firsts()):
        found: list[tuple[int, bytes]] = []
        begins_ms = inf
        try:
            for text in _texts(folder, first):
                if begins_ms == inf and (line := _BEGIN.match(text)) is not None:
                    begins_ms = int(line[2])
                for line in _SAME.finditer(text):
                    # A member may hold the text of a line: it is nobody's but at a line's beginning.
                    begins = line.start() == 0 or text[line.start() - 1] == _LINE_END
                    if begins and int(line[2]) >= since_ms:
                        found.append((int(line[2]), bytes.fromhex(line[3].decode())))
        except (OSError, ValueError, zstandard.ZstdError) as error:
            log.error(
                "a segment cannot be read: repeats of what it holds are kept again",
                folder=str(folder.path), first=first, reason=str(error),
            )  # fmt: skip
        kept.append(found)
        # All before it is older.
        if begins_ms < since_ms or sum(map(len, kept)) >= most:
            break
    return [entry for found in reversed(kept) for entry in found][-most:]


def _texts(folder: Folder, first: int) -> Iterator[bytes]:
    """Give a segment in pieces of whole lines."""
    plain, left = folder.plain(first), b""
    with (plain if plain.exists() else folder.packed(first)).open("rb") as file:
        source = (
            file
            if plain.exists()
            else zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        )
        while data := source.read(8 << 20):
            whole, _, left = (left + data).rpartition(b"\n")
            yield whole


def _cut(path: Path, size: int) -> None:
    """Cut a file to so many bytes, durably."""
    found = path.stat().st_size
    if found < size:
        log.error(
            "a segment is shorter than what was synced: the disk has lost events",
            file=str(path), bytes=found, synced=size,
        )  # fmt: skip
    elif found > size:
        os.truncate(path, size)
        sync(path)
        log.warning(
            "a torn end was cut off: nobody was told that it is kept", file=str(path), bytes=found - size
        )
