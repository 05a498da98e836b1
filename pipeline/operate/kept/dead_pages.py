"""Dead letters by page, newest first, and how many there are per reason.

Work is capped: what could not be read in time is reported, never silently left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.model.json import Value
from pipeline.operate.kept.chosen import ReasonCount, grouped
from pipeline.operate.kept.dlq import Selection, require_owner
from pipeline.operate.kept.paging import PAGE, PAGE_SECS, Deadline, place_of_cursor
from pipeline.operate.kept.rows import last_answer
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.reading.dead_letter_json import reason_of
from pipeline.outbox.reading.newest import PLACE_BYTES, newest
from pipeline.outbox.reading.view import dead_letters, stores
from pipeline.store.reading import reading
from pipeline.store.rows import Table

STATUSES: Final = 20


@dataclass(slots=True, frozen=True)
class DeadPage:
    """Some dead letters, newest first."""

    letters: list[DeadLetter]
    older: str | None
    """The cursor of the next page; None: there are no more."""
    looked_to: int | None = None
    """The time (unix ms) down to which letters were read, if time was up before the page was full."""


def page(
    state: Path,
    selection: Selection,
    before: str | None = None,
    limit: int = PAGE,
    secs: float | None = PAGE_SECS,
) -> DeadPage:
    """Return the next selected dead letters. before: the cursor; None: from the newest on.

    secs: time limit; None: none. Raises UsageError for an invalid cursor or webhook, StateError.
    """
    require_owner(state, selection)
    deadline = Deadline(secs)
    start = _after(selection.until) if before is None else place_of_cursor(before, PLACE_BYTES)
    found: list[DeadLetter] = []
    last: bytes | None = None
    for dated in newest(state, selection.owner, start):
        letter = dated.letter
        if selection.since is not None and letter.dead_ms < selection.since:
            break  # all that follow are older
        if len(found) == limit:
            return DeadPage(found, None if last is None else last.hex())
        if last is not None and deadline.is_up():
            return DeadPage(found, last.hex(), letter.dead_ms)
        last = dated.place
        if selection.holds(letter):
            found.append(letter)
    return DeadPage(found, None)


def _after(until: int | None) -> bytes | None:
    """Return the place after everything as late as that."""
    if until is None:
        return None
    return max(0, until).to_bytes(8, "big").ljust(PLACE_BYTES, b"\0")


@dataclass(slots=True, frozen=True)
class DeadGroups:
    """The number of dead letters per webhook and reason."""

    groups: list[ReasonCount]
    statuses: list[tuple[str, int]]
    """Outcomes of the last attempts, with counts, most frequent first; of those with attempts."""
    counted: int
    looked_at: int
    """Dead letters that were read, selected or not."""
    there_are: int
    """Dead letters in all stores."""
    is_complete: bool
    """False: time was up, and the counts are lower bounds."""

    def to_json(self) -> dict[str, Value]:
        """Return the counts."""
        return {
            "groups": [group.to_json() for group in self.groups],
            "statuses": dict(self.statuses),
            "count": self.counted,
            "at_least": not self.is_complete,
            "looked_at": self.looked_at,
            "in_all": self.there_are,
        }


def groups(state: Path, selection: Selection, secs: float | None = PAGE_SECS) -> DeadGroups:
    """Return the number of selected letters, by webhook and reason.

    secs: time limit; None: none. Raises UsageError for an unknown webhook, StateError.
    """
    require_owner(state, selection)
    deadline = Deadline(secs)
    counts: Counter[tuple[str, str]] = Counter()
    statuses: Counter[str] = Counter()
    looked_at, is_complete = 0, True
    any_will_do = selection == Selection(webhook=selection.webhook)
    for _, letter in dead_letters(state, selection.owner):
        looked_at += 1
        if any_will_do or selection.holds(letter):
            counts[letter.request.webhook_id or "-", reason_of(letter)] += 1
            if letter.progress.attempt:
                statuses[last_answer(letter.progress)] += 1
        if deadline.is_up(looked_at):
            is_complete = False
            break
    return DeadGroups(
        grouped(counts),
        statuses.most_common(STATUSES),
        counts.total(),
        looked_at,
        number_of(state),
        is_complete,
    )


def number_of(state: Path) -> int:
    """Return the number of dead letters, without reading them."""
    total = 0
    for path in stores(state):
        with reading(path) as store:
            total += store.count(Table.DEAD)
    return total
