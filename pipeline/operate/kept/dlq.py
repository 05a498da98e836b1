"""Dead letters by webhook, reason, answer, time, user, text and id: found, replayed, purged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from pipeline.model.errors import Refused
from pipeline.operate.kept.chosen import Chosen
from pipeline.operate.kept.paging import Deadline
from pipeline.operate.kept.rows import Rows
from pipeline.operate.running.asking import Changed, ask_or_leave
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.reading.dead_letter_json import as_json_value, name_of, reason_of
from pipeline.outbox.reading.newest import PLACE_BYTES, newest
from pipeline.outbox.reading.view import dead_letters, require_webhook


@dataclass(slots=True, frozen=True, kw_only=True)
class Selection(Rows):
    """Which dead letters. The webhook ``-``: unreadable records."""

    kind: Literal["requests", "records"] | None = None
    """requests: of webhooks, including those that could not be rendered; records: unreadable ones."""
    reason: str | None = None
    """A prefix of the reason."""
    ids: tuple[str, ...] = ()
    """Short names or webhook-ids."""

    @property
    def owner(self) -> str | None:
        """The webhook's name in the stores, where records have none; None: any."""
        is_records = self.webhook == "-" or (self.webhook is None and self.kind == "records")
        return "" if is_records else self.webhook

    def holds(self, letter: DeadLetter) -> bool:
        """Return whether a dead letter is selected."""
        return (
            (self.owner is None or letter.request.webhook_id == self.owner)
            and (self.kind is None or (letter.kind == "record") is (self.kind == "records"))
            and (self.reason is None or reason_of(letter).startswith(self.reason))
            and (not self.ids or name_of(letter) in self.ids or letter.request.message_id in self.ids)
            and self.holds_row(letter.request, letter.progress, letter.dead_ms, lambda: as_json_value(letter))
        )


def select(state: Path, selection: Selection) -> Iterator[DeadLetter]:
    """Yield dead letters, store by store. Raises UsageError for an unknown webhook."""
    return (letter for _, letter in located(state, selection))


def find(state: Path, name: str, webhook: str | None = None, place: str = "") -> DeadLetter:
    """Return one dead letter by its short name or webhook-id. Raises Refused where there is none.

    webhook, place: where a list has found it (`name_place`), which avoids a search.
    """
    with suppress(ValueError, OverflowError):  # from a link that somebody has edited
        before = (int(place, 16) + 1).to_bytes(PLACE_BYTES, "big") if place else b""
        for dated in islice(newest(state, webhook, before), bool(before)):
            if name_of(dated.letter) == name:
                return dated.letter
    for letter in select(state, Selection(ids=(name,))):
        return letter
    raise Refused(f"there is no dead letter `{name}`; `hookline dlq list` shows them")


def choose(
    state: Path, action: Literal["replay", "purge"], selection: Selection, secs: float | None = None
) -> Chosen:
    """Return exactly the dead letters that are selected now, to be replayed or deleted.

    An unreadable record is not a request: it stays when others are replayed. secs: how long the stores may be
    read; Refused is raised where that is not enough, and UsageError for an unknown webhook.
    """
    deadline, chosen = Deadline(secs), Chosen(action)
    for number, (store, letter) in enumerate(located(state, selection)):
        if action == "replay" and letter.kind == "record":
            chosen.stay += 1
        else:
            chosen.add(store, letter.key, letter.request.webhook_id or "-", reason_of(letter))
        if deadline.is_up(number):
            raise Refused(
                f"there are more dead letters than can be counted in {secs:g} s: narrow the selection by "
                "webhook or time, or use `hookline dlq`, which takes its time"
            )
    return chosen


def change(
    state: Path,
    action: Literal["replay", "purge"],
    selection: Selection,
    check: Callable[[Chosen], None] = lambda chosen: None,
) -> Changed | None:
    """Replay dead letters under their webhook-id, or delete them for good; None: none is selected.

    check: called with the selection; may raise. Unreadable records stay when others are replayed.
    """
    chosen = choose(state, action, selection)
    check(chosen)
    if not chosen.rows:
        return Changed(0, stay=chosen.stay) if chosen.stay else None
    return replace(ask_or_leave(state, action, chosen.rows), stay=chosen.stay)


def require_owner(state: Path, selection: Selection) -> None:
    """Raise UsageError where the selected webhook is unknown."""
    if selection.webhook not in (None, "-"):
        require_webhook(state, selection.webhook)


def located(state: Path, selection: Selection) -> Iterator[tuple[Path, DeadLetter]]:
    """Yield the selected dead letters, each with the folder of its store.

    Raises UsageError for an unknown webhook.
    """
    require_owner(state, selection)
    found = dead_letters(state, selection.owner)
    return ((store, letter) for store, letter in found if selection.holds(letter))
