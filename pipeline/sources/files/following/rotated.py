"""Finds a rotated file: beside its old name, perhaps compressed, perhaps a copy.

A renamed file is recognised by its inode and its beginning, a copy by its name (``app.jsonl.1``,
``app.jsonl-20261129.gz``, ``app-20261129.jsonl``) and its beginning.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.sources.files.finding.inputs import Input
from pipeline.sources.files.reading.beginning import HEAD_BYTES, begins_as, digest, head_of
from pipeline.sources.files.reading.entry import Entry

COUNTED: Final = r"[._-][0-9][0-9T:._-]*"
"""What rotation appends to a name."""
PACKED: Final = (".gz", ".zst")
_ROTATED: Final = re.compile(rf"(.+?){COUNTED}(\.[A-Za-z]+)?")
_TAIL_BYTES: Final = 1 << 16


class Beside(NamedTuple):
    """A file in the folder of another one, sorted by modification time."""

    written_ns: int
    path: str
    inode: int


def find(path: str, entry: Entry) -> Beside | None:
    """Return the path of an entry's file, now that its old path leads to another one.

    None where it cannot be found.
    """
    found = None
    for one in _beside(path):
        is_itself = one.inode == entry.inode
        if (is_itself or _was_at(path, one)) and begins_as(one.path, entry):
            found = one
            if is_itself:
                break
    return found


def find_after(source: Input, fd: int, entries: Iterable[Entry]) -> Beside | None:
    """Return the file that had this path after the open one, and was rotated away since; None if there was
    none.

    entries: what is known of all files. Called anew each time: such files are renamed, and others appear.
    """
    status = os.fstat(fd)
    known = {one.digest for one in entries if one.head_bytes == HEAD_BYTES}
    # The one at the path is being copied now: it is truncated next.
    known.add(digest(head_of(source.path) or b""))
    for one in _beside(source.path):
        if one.written_ns <= status.st_mtime_ns or one.inode == status.st_ino:
            continue
        if _was_at(source.path, one) and not _is_found(source, one):
            head = head_of(one.path)
            # The file that was read may be compressed now; while it is being compressed, the original exists,
            # too. Several short files may begin alike.
            if head is not None and (len(head) < HEAD_BYTES or digest(head) not in known):
                return one
    return None


def before_rotation(name: str) -> str:
    """Return what a file was called before it was rotated; "" where its name has no number."""
    bare = next((name.removesuffix(end) for end in PACKED if name.endswith(end)), name)
    rotated = _ROTATED.fullmatch(bare)
    return rotated[1] + (rotated[2] or "") if rotated else ""


def is_counted(path: str) -> bool:
    """Return whether a path passes from file to file as the numbers of rotated files count up."""
    folder, name = os.path.split(path)
    before = before_rotation(name)
    return bool(before) and os.path.exists(os.path.join(folder, before))


def changed(path: str) -> int:
    """Return when the file's folder last changed, in nanoseconds; 0 without one."""
    try:
        return os.stat(os.path.dirname(os.path.abspath(path))).st_mtime_ns
    except OSError:
        return 0


def is_renewed(fd: int, new: int, offset: int) -> bool:
    """Return whether the second open file is a rewrite of the first one, with the same beginning.

    rsync and editors change files like this. The first one is then deleted; a rotated one still has a name.
    """
    if os.fstat(fd).st_nlink:
        return False
    places = ((HEAD_BYTES, 0), (_TAIL_BYTES, max(0, offset - _TAIL_BYTES)))
    try:
        return offset > 0 and all(
            os.pread(fd, size, at)[: offset - at] == os.pread(new, size, at)[: offset - at]
            for size, at in places
        )
    except OSError:
        return False


def first_byte(fd: int) -> int:
    """Return where the zeros at a file's beginning end; the descriptor stands there or before.

    A writer that does not append continues at its old offset after a truncation, which leaves a hole.
    """
    try:
        at = os.lseek(fd, 0, os.SEEK_DATA)
        block = os.pread(fd, _TAIL_BYTES, at)
    except OSError:
        return 0  # nothing there yet, or not supported by the file system
    return at + len(block) - len(block.lstrip(b"\0"))


def _was_at(path: str, one: Beside) -> bool:
    """Return whether a file's name is that of a rotated file that had this path before."""
    stem, suffix = os.path.splitext(Path(path).name)
    end = re.escape(suffix)
    form = rf"{re.escape(stem)}(?:{end}{COUNTED}|{COUNTED}{end})(?:\.gz|\.zst)?"
    return re.fullmatch(form, Path(one.path).name) is not None


def _is_found(source: Input, one: Beside) -> bool:
    """Return whether the rule that found an input finds that file, too: it is then an input of its own."""
    return any(fnmatchcase(os.path.basename(one.path), pattern) for pattern in source.beside)


def _beside(path: str) -> list[Beside]:
    found = []
    folder, own = os.path.split(os.path.abspath(path))
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name != own and entry.is_file(follow_symlinks=False):
                    status = entry.stat()
                    if status.st_size:
                        found.append(Beside(status.st_mtime_ns, entry.path, status.st_ino))
    except OSError:
        pass  # the reader of the file itself reports what is wrong
    return sorted(found)
