"""What the recovery state remembers of one file of a recording."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from pipeline.sources.files.merging.running_time import RunningTime

Kind: TypeAlias = Literal["", "new", "plain", "messages"]


class Entry(NamedTuple):
    """What the recovery state remembers of one file. A restored copy is the same file: its name tells it, the
    inode only where something else has that name."""

    name: str
    head_bytes: int
    """How many bytes the digest covers: HEAD_BYTES, or fewer of a file that was still short."""
    digest: str
    """Of the file's first bytes; of a pipe: of everything before ``offset``."""
    offset: int
    """Where the next line starts, in the decompressed stream."""
    size: int
    """Bytes on disk that were read when it was finished; else 0."""
    finished: bool
    latest: int | None = None
    """With what follows: `RunningTime`."""
    doubts: tuple[int | None, ...] = ()
    since: int = 0
    kind: Kind = ""
    """What its lines are; new: nothing is read yet; "": an older version has read it, which asked the
    first line."""
    inode: int = 0
    """Of a plain file that was followed: it may be renamed. 0: not known."""
    born_ns: int = 0
    """When that file was made; 0: not known."""
    left_ns: int = 0
    """When it was last written, where it was read to its end after its name had passed on, or nothing of it
    was read; else when it was at the last look, as a negative number, 0 where that is not known."""

    @property
    def time(self) -> RunningTime:
        """Where the time of the file stands."""
        return RunningTime(self.latest, self.doubts, self.since)
