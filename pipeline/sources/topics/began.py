"""Where a job's topic partitions began: what `latest` or a time meant when it started for the first time.

A start that finds no durable place yet (a crash within the first epoch) begins there again, so what came in
between is read. And a partition that its topic did not have then is read from its beginning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import orjson

from pipeline.model.errors import StateError
from pipeline.model.files.disk import make_folder, replace_durably

FILE: Final = "began"


class Began(NamedTuple):
    """Where one topic partition began."""

    offset: int
    partitions: int
    """How many partitions its topic had."""
    id: str
    """Of the topic."""
    start: str | int
    """The `start` setting then; a setting that has changed since wins."""


def read_began(path: Path) -> dict[str, Began]:
    """Return the contents of a file, by the keys of places; empty if there is none. Raises StateError."""
    try:
        check, _, facts = path.read_bytes().partition(b" ")
    except FileNotFoundError:
        return {}
    try:
        if crc32(facts) != int(check, 16):
            raise ValueError
        return {key: Began(*one) for key, one in orjson.loads(facts).items()}
    except (TypeError, ValueError):
        raise StateError(
            f"{path}: damaged; it says where topics began. Restore the whole state directory from one "
            "backup, or remove the file: what has no durable place then begins where `start` says."
        ) from None


class Beginnings:
    """Of one source partition.

    path: its own file, in a folder beside those of the others; None: nobody keeps any.
    """

    def __init__(self, path: Path | None) -> None:
        """Raises StateError."""
        self._path = path
        self._own = {} if path is None else read_began(path)
        self._is_kept = True

    def offset(self, key: str, id: str, start: str | int) -> int | None:
        """Return where the topic of this id began under this `start`, None if it did not."""
        one = self._own.get(key)
        return one.offset if one is not None and (one.id, one.start) == (id, start) else None

    def had(self, topic: str, id: str, index: int) -> bool | None:
        """Return whether a topic had this partition when the job began; None if unknown."""
        if self._path is None:
            return None
        files = sorted(self._path.parent.parent.glob(f"*/{FILE}"))
        known = [one for file in files for key, one in read_began(file).items() if _topic(key) == topic]
        counts = [one.partitions for one in known if one.id == id]
        return index < min(counts) if counts else None

    def note(self, key: str, began: Began) -> None:
        """Note where a partition begins."""
        self._own[key] = began
        self._is_kept = False

    def keep(self) -> None:
        """Write what was noted; it is on disk when this returns."""
        if self._path is not None and not self._is_kept:
            make_folder(self._path.parent)
            facts = orjson.dumps({key: tuple(one) for key, one in self._own.items()})
            replace_durably(self._path, b"%08x %b" % (crc32(facts), facts))


def _topic(key: str) -> str:
    return key.partition("/")[0]
