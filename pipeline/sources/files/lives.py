"""The files that have one name, one after the other: what is followed may be rotated.

The first is called as its path says, those after it ``NAME~2``, ``NAME~3``: their bytes are others, and so
are the origins of their lines. A file that was renamed is told by its inode and its beginning, a copy of it
by its name (``app.jsonl.1``, ``app.jsonl-20261129.gz``, ``app-20261129.jsonl``) and its beginning.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.sources.files.blocks import Blocks, Damaged
from pipeline.sources.files.digests import digest
from pipeline.sources.files.entry import Entry
from pipeline.sources.files.file_set import SUFFIXES

HEAD_BYTES: Final = 1024
"""How much of a file's beginning identifies it."""
MOST_KEPT: Final = 1_000
"""Files of one name whose places are remembered: they stand in every position."""
_TAIL_BYTES: Final = 1 << 16
_NUMBERED: Final = re.compile(r"(.+)~([2-9]|[1-9][0-9]{1,8})", re.DOTALL)
_PACKED: Final = (".gz", ".zst")
_COUNTED: Final = r"[._-][0-9][0-9T:._-]*"
_ROTATED: Final = re.compile(rf"(.+?){_COUNTED}(\.[A-Za-z]+)?")


class Beside(NamedTuple):
    """A file in the folder of another one, in the order in which such were written last."""

    written_ns: int
    path: str
    inode: int


class Lives:
    """The files of one name. ``is_of``: what the state knows of the first, where it had another name.

    entries: what the state knows of all files; looked into as it is when it is asked.
    """

    def __init__(self, name: str, path: str, entries: dict[str, Entry], is_of: Entry | None = None) -> None:
        self._path = path
        self._entries = entries
        self._base, self._number = parted(name if is_of is None else is_of.name)
        if is_of is None:
            self._number = self._last()

    @property
    def name(self) -> str:
        """Return what the present file is called."""
        return self._base if self._number == 1 else f"{self._base}~{self._number}"

    @property
    def entry(self) -> Entry | None:
        """Return what the state knows of the present file."""
        return self._entries.get(self.name)

    def next(self) -> None:
        """Go on to the next file."""
        self._number = self._last() + 1
        self._entries.pop(f"{self._base}~{self._number - MOST_KEPT}", None)

    def find(self, entry: Entry) -> Beside | None:
        """Return where the file lies that an entry speaks of, now that its path leads to another one.

        None where it cannot be found.
        """
        found = None
        for one in _beside(self._path):
            is_itself = one.inode == entry.inode
            if (is_itself or self._was_here(one)) and begins_as(one.path, entry):
                found = one
                if is_itself:
                    break
        return found

    def after(self, fd: int) -> Beside | None:
        """Return the file that comes after the open one, and was rotated away since; None where none was.

        Asked anew each time: such files are renamed, and others come.
        """
        status = os.fstat(fd)
        known = {one.digest for one in self._entries.values() if one.head_bytes == HEAD_BYTES}
        # Of the one at the path a copy is made now: it is cut off next.
        known.add(digest(_head(self._path, HEAD_BYTES) or b""))
        for one in _beside(self._path):
            if one.written_ns <= status.st_mtime_ns or one.inode == status.st_ino:
                continue
            # What a folder is searched for is read in its own right.
            if self._was_here(one) and not one.path.endswith(SUFFIXES):
                head = _head(one.path, HEAD_BYTES)
                # What was read may be compressed now; while it is being, it lies there as it was, too. Of
                # short files several may begin alike.
                if head is not None and (len(head) < HEAD_BYTES or digest(head) not in known):
                    return one
        return None

    def _was_here(self, one: Beside) -> bool:
        return _is_rotated(one.path, Path(self._path).name)

    def _last(self) -> int:
        """Return the number of the last file that the state knows, or this is."""
        known = (parted(name) for name in self._entries)
        return max((number for base, number in known if base == self._base), default=self._number)


class Moved:
    """Tells files that were read under another name: they were renamed, or are compressed now."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_inode: dict[int, list[Entry]] = {}
        self._by_name: dict[str, list[Entry]] = {}
        for entry in entries:
            # An inode may be given again, and so may the beginning of a short file.
            if entry.head_bytes >= HEAD_BYTES and entry.inode:
                self._by_inode.setdefault(entry.inode, []).append(entry)
                self._by_name.setdefault(Path(parted(entry.name)[0]).name, []).append(entry)

    def entry_of(self, path: str, inode: int) -> Entry | None:
        """Return what the state knows of a file; None where it is new.

        Raises BlockingIOError where that cannot be told yet: it is being compressed.
        """
        for entry in self._by_inode.get(inode, ()):
            if begins_as(path, entry):
                return entry
        name = Path(path).name
        bare = next((name.removesuffix(end) for end in _PACKED if name.endswith(end)), None)
        if bare is None:
            return None
        rotated = _ROTATED.fullmatch(bare)
        for was in (bare, rotated[1] + (rotated[2] or "") if rotated else ""):
            for entry in self._by_name.get(was, ()):
                if begins_as(path, entry):
                    return entry
                if _head(path, HEAD_BYTES) is None:
                    raise BlockingIOError(path)
        return None


def begins_as(path: str, entry: Entry) -> bool:
    """Return whether a file, unpacked, begins as an entry of a plain file says, if it says anything."""
    if not entry.head_bytes:
        return False
    head = _head(path, entry.head_bytes)
    return head is not None and len(head) == entry.head_bytes and digest(head) == entry.digest


def is_renewed(fd: int, new: int, offset: int) -> bool:
    """Return whether the second open file is the first one, written anew with what was read of it.

    So rsync and editors change a file. The first one is gone then; one that was rotated still has a name.
    """
    if os.fstat(fd).st_nlink:
        return False
    places = (
        (HEAD_BYTES if offset > HEAD_BYTES else offset, 0),
        (_TAIL_BYTES, max(0, offset - _TAIL_BYTES)),
    )
    try:
        same = all(
            os.pread(fd, size, at)[: offset - at] == os.pread(new, size, at)[: offset - at]
            for size, at in places
        )
    except OSError:
        return False
    return same and os.fstat(new).st_size >= offset > 0


def first_byte(fd: int) -> int:
    """Return where the zeros end that stand at a file's beginning.

    Who does not append writes on at its old place when a file was cut off: before it there is a hole then.
    """
    try:
        at = os.lseek(fd, 0, os.SEEK_DATA)
        block = os.pread(fd, _TAIL_BYTES, at)
    except OSError:
        return 0  # there is nothing yet, or no such thing in this file system
    finally:
        os.lseek(fd, 0, os.SEEK_SET)
    return at + len(block) - len(block.lstrip(b"\0"))


def parted(name: str) -> tuple[str, int]:
    """Return what a file's path calls it, and which of the files of that name it is."""
    found = _NUMBERED.fullmatch(name)
    return (name, 1) if found is None else (found[1], int(found[2]))


def _is_rotated(path: str, name: str) -> bool:
    """Return whether a file is called as one that was rotated, and had this name before."""
    stem, suffix = os.path.splitext(name)
    end = re.escape(suffix)
    form = rf"{re.escape(stem)}(?:{end}{_COUNTED}|{_COUNTED}{end})(?:\.gz|\.zst)?"
    return re.fullmatch(form, Path(path).name) is not None


def _head(path: str, size: int) -> bytes | None:
    """Return how a file begins, unpacked; None where it cannot be read, or is compressed and cut off."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        blocks, head = Blocks(fd), b""
        while len(head) < size and (block := blocks.read()):
            head += block
        return None if len(head) < size and (blocks.is_cut or not head) else head[:size]
    except (OSError, Damaged):
        return None
    finally:
        os.close(fd)


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
        pass  # who reads the file itself says what is wrong
    return sorted(found)
