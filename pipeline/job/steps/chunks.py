"""What flows between the steps: about 200 records at a time, in order (DESIGN 2).

Only the steps know chunks; the business code works on single records. A chunk without items is a hello or
carries a new config version.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.job.story import Chosen, Owned
from pipeline.sources.chunk import RawChunk


@dataclass(slots=True)
class Intake:
    """From the source to select: raw lines, or none."""

    partition: str
    config: str
    """Hash of the config version that these lines run under."""
    text: bytes | None = None
    """That version's text: in the hello and before its first lines."""
    raw: RawChunk | None = None
    is_last: bool = False
    """True where nothing follows in this run; such a chunk has no lines and goes to every shard."""


@dataclass(slots=True)
class Selected:
    """From select to identity: what is left of a chunk, and the counts."""

    key: str
    """The identity key it goes to: its own partition, or another one that must learn its links."""
    partition: str
    config: str
    text: bytes | None = None
    items: list[Chosen] = field(default_factory=list)
    counts: tuple[int, int, int, int, int] | None = None
    """read, events, updates, links, invalid."""
    noted: dict[str, int] | None = None
    """Irregularities of their order (`RawChunk.noted`)."""
    passed: dict[str, int] = field(default_factory=dict)
    """Source to last offset: everything up to there is in this chunk or an earlier one."""
    is_last: bool = False


@dataclass(slots=True)
class Routed:
    """From identity to one shard, perhaps in another process."""

    shard: int
    partition: str
    config: str
    text: bytes | None = None
    items: list[Owned] = field(default_factory=list)
    passed: dict[str, int] = field(default_factory=dict)
    is_last: bool = False
    _packed: bytes | None = field(default=None, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[Callable[[bytes], Routed], tuple[bytes]]:
        """Return how to rebuild it; the chunk must not change after that.

        Bytewax pickles what goes to another process twice: first only to learn its size.
        """
        if self._packed is None:
            whole = self.shard, self.partition, self.config, self.text, self.items, self.passed, self.is_last
            self._packed = pickle.dumps(whole, pickle.HIGHEST_PROTOCOL)
        return _unpacked, (self._packed,)


def _unpacked(packed: bytes) -> Routed:
    return Routed(*pickle.loads(packed))  # from a process of the same job
