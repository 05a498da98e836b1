"""Recognises files that were read under another name: renamed, copied or compressed since."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from pipeline.sources.files.following.rotated import before_rotation, unpacked
from pipeline.sources.files.reading.beginning import HEAD_BYTES, begins_as, head_of, is_as_read
from pipeline.sources.files.reading.birth import born_ns
from pipeline.sources.files.reading.entry import Entry
from pipeline.sources.files.reading.lives import parted


@lru_cache(maxsize=1 << 16)
def _names_before(name: str) -> frozenset[str]:
    """Return what a file of this name may have been called before it was rotated.

    It may have been found when it was rotated already: `app.jsonl.1` is `app.jsonl.2.gz` then. Kept, as all
    entries are asked at each rotation of each file.
    """
    name = Path(parted(name)[0]).name
    return frozenset({name, before_rotation(name) or name})


class Unready(Exception):
    """A file must not be opened now: it is being compressed, or open under another name."""


class Moved:
    """Recognises files that were read under another name: renamed, copied, or compressed since."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_inode: dict[int, list[Entry]] = {}
        self._by_name: dict[str, list[Entry]] = {}
        for entry in entries:
            # Inodes are reused, and the beginning of a short file may not be unique.
            if entry.inode and (entry.head_bytes >= HEAD_BYTES or entry.born_ns):
                self._by_inode.setdefault(entry.inode, []).append(entry)
                for was in _names_before(entry.name):
                    self._by_name.setdefault(was, []).append(entry)

    def renamed(self, path: str, inode: int) -> Entry | None:
        """Return the state's entry for a file by its inode and its beginning, whatever its name."""
        found = self._by_inode.get(inode)
        if found is None:
            return None
        born = born_ns(path)
        alike = (entry for entry in found if entry.head_bytes >= HEAD_BYTES or entry.born_ns == born)
        return next((entry for entry in alike if not entry.head_bytes or begins_as(path, entry)), None)

    def entry_of(self, path: str, inode: int) -> Entry | None:
        """Return the state's entry for a file; None where it is new.

        Raises Unready where that cannot be decided yet: it is being compressed.
        """
        entry = self.renamed(path, inode)
        if entry is not None:
            return entry
        name = Path(path).name
        bare = unpacked(name)
        for was in (bare, before_rotation(name)):
            for entry in self._by_name.get(was, ()) if was != name else ():
                if is_as_read(path, entry):
                    return entry
                if bare != name and head_of(path) is None:
                    raise Unready(path)
        return None


def moved_entry(entries: Iterable[Entry], path: str, inode: int) -> Entry | None:
    """Return what `Moved.entry_of` does, for a single file: no others are looked into."""
    name = Path(path).name
    were = {unpacked(name), before_rotation(name)} - {name, ""}
    return Moved(
        one for one in entries if one.inode == inode or (were and were & _names_before(one.name))
    ).entry_of(path, inode)
