"""Recognises files that were read under another name: renamed or compressed since."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pipeline.sources.files.following.rotated import COUNTED, PACKED
from pipeline.sources.files.reading.beginning import HEAD_BYTES, begins_as, head_of
from pipeline.sources.files.reading.entry import Entry
from pipeline.sources.files.reading.lives import parted

_ROTATED: Final = re.compile(rf"(.+?){COUNTED}(\.[A-Za-z]+)?")


class Unready(Exception):
    """A file is not to be opened now: it is being compressed, or open under another name."""


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

        Raises Unready where that cannot be told yet: it is being compressed.
        """
        for entry in self._by_inode.get(inode, ()):
            if begins_as(path, entry):
                return entry
        name = Path(path).name
        bare = next((name.removesuffix(end) for end in PACKED if name.endswith(end)), None)
        if bare is None:
            return None
        rotated = _ROTATED.fullmatch(bare)
        for was in (bare, rotated[1] + (rotated[2] or "") if rotated else ""):
            for entry in self._by_name.get(was, ()):
                if begins_as(path, entry):
                    return entry
                if head_of(path) is None:
                    raise Unready(path)
        return None
