"""Rows that a person has selected: counted, identified by a digest, then changed; those and no others."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal

from pipeline.model.errors import Refused
from pipeline.model.json import Plain, Value

HELD: Final = 16
"""Selections remembered as they were shown."""
HELD_ROWS: Final = 4_000_000
"""Rows of all of them; each takes eight bytes."""
GROUPS: Final = 200
"""Groups that are listed; reasons from templates or records may differ each time."""
OTHERS: Final = "(other reasons)"


class Moved(Refused):
    """What would be changed now differs from what was shown; nothing was changed."""


@dataclass(slots=True, frozen=True)
class ReasonCount(Plain):
    """The number of rows of one webhook with one reason."""

    webhook: str
    """``-``: unreadable records."""
    reason: str
    count: int


def grouped(counts: Counter[tuple[str, str]]) -> list[ReasonCount]:
    """Return the largest groups first; beyond `GROUPS`, each webhook's rest is one group."""
    found = counts.most_common()
    rest: Counter[str] = Counter()
    for (webhook, _), number in found[GROUPS:]:
        rest[webhook] += number
    return [ReasonCount(*key, number) for key, number in found[:GROUPS]] + [
        ReasonCount(webhook, OTHERS, number) for webhook, number in rest.most_common()
    ]


@dataclass(slots=True)
class Chosen:
    """The rows that would be changed."""

    action: Literal["replay", "purge", "drop"]
    rows: list[tuple[Path, bytes]] = field(default_factory=list)
    """Store folder and key of each."""
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By webhook and reason."""
    stay: int = 0
    """Selected rows to which this does not apply: an unreadable record is not a request."""

    def add(self, store: Path, key: bytes, webhook: str, reason: str) -> None:
        """Take a row."""
        self.rows.append((store, key))
        self.counts[webhook, reason] += 1

    @property
    def webhooks(self) -> list[str]:
        """The webhooks that the rows belong to."""
        return sorted({webhook for webhook, _ in self.counts})

    def marks(self) -> array[int]:
        """Return eight bytes per row, in order."""
        return array("Q", sorted(mark_of(key) for _, key in self.rows))

    def digest(self) -> str:
        """Return a name for exactly these rows and the action."""
        said = blake2b(self.action.encode(), digest_size=16)
        said.update(self.marks().tobytes())
        return said.hexdigest()

    def to_json(self) -> dict[str, Value]:
        """Return the count, by webhook and reason, and the digest that confirms it."""
        return {
            "action": self.action,
            "count": len(self.rows),
            "stay": self.stay,
            "by_reason": [group.to_json() for group in grouped(self.counts)],
            "digest": self.digest(),
        }


def mark_of(key: bytes) -> int:
    """Return a number that identifies a row."""
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "little")


class ShownSelections:
    """Selections as they were shown to people; thread-safe, in memory only."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, str], array[int]] = OrderedDict()
        self._lock = threading.Lock()

    def show(self, chosen: Chosen) -> str:
        """Remember a selection; return its digest."""
        digest = chosen.digest()
        with self._lock:
            self._held[chosen.action, digest] = chosen.marks()
            self._held.move_to_end((chosen.action, digest))
            while len(self._held) > 1 and (
                len(self._held) > HELD or sum(map(len, self._held.values())) > HELD_ROWS
            ):
                self._held.popitem(last=False)
        return digest

    def exactly(self, chosen: Chosen, digest: str) -> Chosen:
        """Return the present selection without rows that were added since it was shown.

        Raises Moved where it has more rows than were shown, and the shown selection is not remembered.
        """
        if chosen.digest() == digest:
            return chosen
        with self._lock:
            held = self._held.get((chosen.action, digest))
        if held is None:
            raise Moved(
                f"what is selected has changed since it was counted: it is {len(chosen.rows):,} now. "
                "Nothing was changed; count it again."
            )
        rows = [one for one in chosen.rows if _is_in(held, mark_of(one[1]))]
        return Chosen(chosen.action, rows, Counter(), chosen.stay)


def _is_in(marks: array[int], mark: int) -> bool:
    at = bisect_left(marks, mark)
    return at < len(marks) and marks[at] == mark
