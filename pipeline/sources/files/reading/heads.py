"""The beginnings of files whose lines have left, noted before they leave.

After a kill the position is that of the last durable epoch, and what was sent since is known by its origins.
A file that was truncated or replaced meanwhile has other lines at the same places: its beginning tells that,
if it is known. So it is noted as far as lines have left, up to what identifies a file. A note is of no use
once the position says as much.

The notes are in the state directory, and synced soon, like the trail of topics.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from zlib import crc32

import orjson

from pipeline.model.errors import StateError
from pipeline.model.files.disk import make_folder
from pipeline.model.files.log_file import LogFile
from pipeline.sources.files.reading.entry import Entry
from pipeline.sources.files.reading.lives import last_numbers, parted

FILE: Final = "heads"
REWRITE_BYTES: Final = 1 << 16


class Heads:
    """Of one recording. path: its file; None: nobody keeps any. Raises StateError where it is damaged."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._noted = {} if path is None else read_heads(path)
        self._file: LogFile | None = None

    def resume(self, entries: dict[str, Entry]) -> None:
        """Add to what the position says of all files what it does not say yet.

        That is a longer beginning of some, and files of which it knows none: they were read in the very first
        epoch. Their later ones are named as they are found (`of`).
        """
        self.forget(entries)
        bases = {parted(name)[0] for name in entries} if self._noted else set()
        for name, noted in sorted(self._noted.items(), key=lambda one: parted(one[0])):
            known, (base, _) = entries.get(name), parted(name)
            if known is not None:
                entries[name] = known._replace(
                    head_bytes=noted.head_bytes, digest=noted.digest, left_ns=noted.left_ns
                )
            elif base not in bases:
                entries[name] = noted
            bases.add(base)

    @property
    def are_noted(self) -> bool:
        """True while the position does not say all that was noted."""
        return bool(self._noted)

    def of(self, name: str) -> Entry | None:
        """Return what was noted of a file, at its beginning; None where the position says as much."""
        return self._noted.get(name)

    def are_past(self, name: str) -> bool:
        """Return whether lines of a later file of this one's path have left."""
        base, number = parted(name)
        return any(base == other and number < later for other, later in map(parted, self._noted))

    def beyond(self, entries: Mapping[str, Entry]) -> list[Entry]:
        """Return what was noted of files that are not among these."""
        return [noted for name, noted in self._noted.items() if name not in entries]

    def note(self, entry: Entry) -> None:
        """Note how a file begins of which lines are about to leave."""
        known = self._noted.get(entry.name)
        if self._path is None or (known is not None and known.head_bytes >= entry.head_bytes):
            return
        noted = Entry(
            entry.name, entry.head_bytes, entry.digest, 0, 0, False,
            kind="new", inode=entry.inode, born_ns=entry.born_ns, left_ns=min(0, entry.left_ns),
        )  # fmt: skip
        self._noted[entry.name] = noted
        if self._file is None:
            make_folder(self._path.parent)
            self._file = LogFile(self._path, self._needed())
        else:
            self._file.append(_packed(noted))

    def forget(self, entries: Mapping[str, Entry]) -> None:
        """Forget what these entries, which are durable, say as well, or are past."""
        if not self._noted:
            return
        latest = last_numbers(entries)
        before = len(self._noted)
        for name, noted in list(self._noted.items()):
            base, number = parted(name)
            known = entries.get(name)
            is_said = known is not None and known.head_bytes >= noted.head_bytes
            if is_said or number < latest.get(base, 0):
                del self._noted[name]
        file = self._file
        if file and len(self._noted) < before and (not self._noted or file.bytes > REWRITE_BYTES):
            file.renew(self._needed())

    def _needed(self) -> bytes:
        return b"".join(map(_packed, self._noted.values()))

    def close(self) -> None:
        """Close the file. Never raises."""
        if self._file is not None:
            self._file.close()


def _packed(noted: Entry) -> bytes:
    facts = orjson.dumps(tuple(noted))
    return b"%08x %b\n" % (crc32(facts), facts)


def read_heads(path: Path) -> dict[str, Entry]:
    """Return the contents of a file, by name, as far as a kill or a power cut left it.

    Raises StateError.
    """
    try:
        *lines, _ = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    noted: dict[str, Entry] = {}
    try:
        for line in lines:
            if b"\0" in line:
                break  # a power cut keeps later blocks without earlier ones
            check, _, facts = line.partition(b" ")
            if crc32(facts) != int(check, 16):
                raise ValueError
            entry = Entry(*orjson.loads(facts))
            noted[entry.name] = entry._replace(doubts=())
    except (TypeError, ValueError):
        raise StateError(
            f"{path}: damaged; it says how files began of which lines were sent in the last epoch. Restore "
            "the whole state directory from one backup, or remove the file: of a file that was truncated "
            "since then, as many lines as had been sent are then taken for sent."
        ) from None
    return noted
