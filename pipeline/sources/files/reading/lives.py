"""Names for the successive files behind one file name: a followed file may be rotated.

The first is called as its path says, those after it ``NAME~2``, ``NAME~3``: their bytes are others, and so
are the origins of their lines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from pipeline.sources.files.reading.entry import Entry

MOST_KEPT: Final = 1_000
"""Files of one name whose places are remembered: they stand in every position."""
_NUMBERED: Final = re.compile(r"(.+)~([2-9]|[1-9][0-9]{1,8})", re.DOTALL)


class Lives:
    """The files of one name. is_of: what the state knows of the first, where it had another name.

    entries: what the state knows of all files; looked into as it is when it is asked. taken: what files are
    called that are open under another name.
    """

    def __init__(
        self, name: str, entries: dict[str, Entry], is_of: Entry | None, taken: Collection[str] = ()
    ) -> None:
        self._entries = entries
        self._base, self._number = parted(name if is_of is None else is_of.name)
        if is_of is None:
            self._number = self._last()
            if self.name in taken:
                self.next()

    @property
    def name(self) -> str:
        """Return what the present file is called."""
        return self._base if self._number == 1 else f"{self._base}~{self._number}"

    @property
    def entry(self) -> Entry | None:
        """Return what the state knows of the present file."""
        return self._entries.get(self.name)

    @property
    def before(self) -> Entry | None:
        """Return what the state knows of the file before the present one."""
        number = self._number - 1
        return self._entries.get(self._base if number == 1 else f"{self._base}~{number}")

    def next(self) -> None:
        """Go on to the next file."""
        self._number = self._last() + 1
        self._entries.pop(f"{self._base}~{self._number - MOST_KEPT}", None)

    def _last(self) -> int:
        """Return the number of the last file that the state knows, or this is."""
        known = last_numbers(name for name in self._entries if name.startswith(self._base))
        return known.get(self._base, self._number)


def last_numbers(names: Iterable[str]) -> dict[str, int]:
    """Return the highest number of the files of each path, by what the path calls them."""
    last: dict[str, int] = {}
    for base, number in map(parted, names):
        last[base] = max(number, last.get(base, 0))
    return last


def parted(name: str) -> tuple[str, int]:
    """Return what a file's path calls it, and which of the files of that name it is."""
    found = _NUMBERED.fullmatch(name)
    return (name, 1) if found is None else (found[1], int(found[2]))
