"""Finds a rotated file: beside its old name, or where a link of that name leads, or in a folder there;
perhaps compressed, perhaps a copy.

A renamed file is recognised by its inode and its beginning, a copy by its name (``app.jsonl.1``,
``app.jsonl-20261129.gz``, ``app-20261129.jsonl``) and its beginning.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from itertools import islice
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias

from pipeline.sources.files.finding.inputs import Input
from pipeline.sources.files.reading.beginning import HEAD_BYTES, begins_as, digest, head_of
from pipeline.sources.files.reading.birth import born_ns
from pipeline.sources.files.reading.entry import Entry

COUNTED: Final = r"[._-][0-9][0-9T:._-]*"
"""What rotation appends to a name."""
PACKED: Final = (".gz", ".zst")
_ROTATED: Final = re.compile(rf"(.+?){COUNTED}(\.[A-Za-z]+)?")
_TAIL_BYTES: Final = 1 << 16
_NAME: Final = attrgetter("name")
_Entry: TypeAlias = os.DirEntry[str]


class Beside(NamedTuple):
    """A file near another one, sorted by modification time."""

    written_ns: int
    path: str
    inode: int


def find(path: str, entry: Entry, *, may_be_copy: bool = True) -> Beside | None:
    """Return the path of an entry's file, now that its old path leads to another one; of a copy of it, if
    that is all there is.

    None where it cannot be found.
    """
    found = None
    is_rotated = _is_rotated(path)

    def is_candidate(there: _Entry) -> bool:
        return there.inode() == entry.inode or (may_be_copy and is_rotated(there.name))

    for folders in (_folders(path), _folders_below(path)):
        for one in _files(path, folders, is_candidate):
            if one.inode == entry.inode and _is_of(one.path, entry):
                return one
            if may_be_copy and is_rotated(os.path.basename(one.path)) and begins_as(one.path, entry):
                found = one
        if found is not None:
            break
    return found


def _is_of(path: str, entry: Entry) -> bool:
    """Return whether the file at a path, whose inode is an entry's, is that of the entry."""
    if not entry.born_ns:
        return begins_as(path, entry)
    return born_ns(path) == entry.born_ns and (not entry.head_bytes or begins_as(path, entry))


def find_by_birth(path: str, entry: Entry) -> Beside | None:
    """Return the file of an entry whatever it holds now, like `find`; None where births are not known."""
    folders = {*_folders(path), *_folders_below(path)}
    alike = _files(path, folders, lambda there: there.inode() == entry.inode, but_empty=False)
    return next((one for one in alike if 0 < entry.born_ns == born_ns(one.path)), None)


def find_after(
    source: Input, written_ns: int, entries: Iterable[Entry], *, but: int = 0, folder: str = ""
) -> Beside | None:
    """Return the file that had this path after another one, and was rotated away since; None if there was
    none.

    written_ns: when that one was last written. entries: what is known of all files. but: the inode of one
    that it is not. folder: where that one lies. Called anew each time: such files are renamed, and others
    appear.
    """
    is_rotated = _is_rotated(source.path)
    folders = {*_folders(source.path), *([folder] if folder else [])}
    after = [
        one
        for one in _files(source.path, folders, lambda there: is_rotated(there.name))
        if one.written_ns > written_ns and one.inode != but
    ]
    entries = list(entries) if after else []
    files = {(one.inode, one.born_ns) for one in entries if one.born_ns}
    known = {one.digest for one in entries if one.head_bytes >= min(HEAD_BYTES, one.offset)}
    # The one at the path is being copied now: it is truncated next.
    known.add(digest(head_of(source.path) or b""))
    for one in after:
        if (one.inode, born_ns(one.path)) in files:
            continue
        if not is_found(source, one) and not _is_being_packed(one.path):
            head = head_of(one.path)
            # The file that was read may be compressed now. Several short files may be alike.
            is_unique = head is not None and (len(head) == HEAD_BYTES or unpacked(one.path) != one.path)
            if head is not None and not (is_unique and digest(head) in known):
                return one
    return None


def _is_being_packed(path: str) -> bool:
    """Return whether a file is being compressed: the original is there, whose time it will get."""
    original = unpacked(path)
    return original != path and os.path.exists(original)


def unpacked(name: str) -> str:
    """Return what a file was called before it was compressed."""
    return next((name.removesuffix(end) for end in PACKED if name.endswith(end)), name)


def before_rotation(name: str) -> str:
    """Return what a file was called before it was rotated; "" where its name has no number."""
    rotated = _ROTATED.fullmatch(unpacked(name))
    return rotated[1] + (rotated[2] or "") if rotated else ""


def is_counted(path: str) -> bool:
    """Return whether a path passes from file to file as the numbers of rotated files count up."""
    folder, name = os.path.split(path)
    before = before_rotation(name)
    return bool(before) and os.path.exists(os.path.join(folder, before))


def changed(path: str) -> int:
    """Return when a folder in which the file may be rotated last changed, in nanoseconds; 0 without one."""
    try:
        return max(os.stat(folder).st_mtime_ns for folder in _folders(path))
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
    """Return where the zeros at a file's beginning end; the descriptor stays where it stands.

    A writer that does not append continues at its old offset after a truncation, which leaves a hole.
    """
    here = os.lseek(fd, 0, os.SEEK_CUR)
    try:
        at = os.lseek(fd, 0, os.SEEK_DATA)
        block = os.pread(fd, _TAIL_BYTES, at)
    except OSError:
        return 0  # nothing there yet, or not supported by the file system
    finally:
        os.lseek(fd, here, os.SEEK_SET)
    return at + len(block) - len(block.lstrip(b"\0"))


def _is_rotated(path: str) -> Callable[[str], bool]:
    """Return whether a name is that of a rotated file that had this path before, or the path to which a link
    leads.
    """
    return _rotated(frozenset(_names(path)))


@lru_cache(maxsize=1 << 12)
def _rotated(names: frozenset[str]) -> Callable[[str], bool]:
    forms = []
    parts = [os.path.splitext(name) for name in names]
    for stem, suffix in parts:
        end = re.escape(suffix)
        forms.append(rf"{re.escape(stem)}(?:{end}{COUNTED}|{COUNTED}{end})(?:\.gz|\.zst)?")
    stems, matches = tuple(stem for stem, _ in parts), re.compile("|".join(forms)).fullmatch
    return lambda name: name.startswith(stems) and matches(name) is not None


def _names(path: str) -> set[str]:
    return {os.path.basename(path), os.path.basename(os.path.realpath(path))}


def is_found(source: Input, one: Beside) -> bool:
    """Return whether the rule that found an input finds that file, too: it is then an input of its own."""
    folder, name = os.path.split(one.path)
    is_beside = folder == os.path.dirname(os.path.abspath(source.path))
    return any(
        (is_beside or pattern.startswith("**/")) and fnmatchcase(name, pattern.removeprefix("**/"))
        for pattern in source.beside
    )


class Folders:
    """What lies in folders, each looked into once: thousands of paths may share one."""

    def __init__(self) -> None:
        self._entries = cache(lambda folder: sorted(_entries(folder), key=_NAME))
        self._below = cache(lambda folder: [one.path for one in self._entries(folder) if one.is_dir()])

    def beside(self, path: str) -> list[_Entry]:
        """Return the files that may have had this path before."""
        is_rotated, places = _is_rotated(path), _folders(path)
        found: list[_Entry] = []
        for folder in places.union(*map(self._below, places)):
            entries = self._entries(folder)
            for stem in (os.path.splitext(name)[0] for name in _names(path)):
                at = bisect_left(entries, stem, key=_NAME)
                for one in islice(entries, at, None):
                    if not one.name.startswith(stem):
                        break
                    found += [one] if is_rotated(one.name) else []
        return found


def _folders(path: str) -> set[str]:
    return {os.path.dirname(place) for place in (os.path.abspath(path), os.path.realpath(path))}


def _folders_below(path: str) -> set[str]:
    """Return the folders among which is logrotate's `olddir`, where it has no folder elsewhere."""
    return {entry.path for folder in _folders(path) for entry in _entries(folder) if entry.is_dir()}


def _files(
    path: str, folders: Iterable[str], is_wanted: Callable[[_Entry], bool], *, but_empty: bool = True
) -> list[Beside]:
    """Return the wanted files in some folders, but the one at a path and those that are empty.

    is_wanted: asked before their status is: thousands may share a folder.
    """
    own = {os.path.abspath(path), os.path.realpath(path)}
    found = []
    for entry in (entry for folder in folders for entry in _entries(folder) if is_wanted(entry)):
        with suppress(OSError):  # it is gone
            if entry.path not in own and entry.is_file(follow_symlinks=False):
                status = entry.stat()
                if status.st_size or not but_empty:
                    found.append(Beside(status.st_mtime_ns, entry.path, status.st_ino))
    return sorted(found)


def _entries(folder: str) -> list[_Entry]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []  # the reader of the file itself reports what is wrong
