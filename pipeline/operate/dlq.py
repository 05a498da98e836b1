"""Dead letters by webhook, time, reason and id: found, sent again, deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from pipeline.model.errors import Refused
from pipeline.model.records import Envelope, Origin
from pipeline.operate.asking import Changed, ask_or_leave
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.reading.dead_letter_json import name_of, reason_of
from pipeline.outbox.reading.view import dead_letters, require_webhook
from pipeline.sources.files import recorded
from pipeline.sources.files.blocks import first_line
from pipeline.sources.files.file_set import find_inputs
from pipeline.sources.files.recorded import Message, dump_line, is_recording


@dataclass(slots=True, frozen=True)
class Selection:
    """Which dead letters: those of which everything holds that is given."""

    webhook: str | None = None
    """``-``: records that could not be read."""
    reason: str | None = None
    """How it begins."""
    since: int | None = None
    """Given up at or after this, in unix milliseconds."""
    until: int | None = None
    """Given up before this."""
    ids: tuple[str, ...] = ()
    """Short names or webhook-ids."""

    def holds(self, letter: DeadLetter) -> bool:
        """Return whether a dead letter is one of them."""
        return (
            (self.webhook is None or (letter.request.webhook_id or "-") == self.webhook)
            and (self.reason is None or reason_of(letter).startswith(self.reason))
            and (self.since is None or letter.dead_ms >= self.since)
            and (self.until is None or letter.dead_ms < self.until)
            and (not self.ids or name_of(letter) in self.ids or letter.request.message_id in self.ids)
        )


def select(state: Path, selection: Selection) -> Iterator[DeadLetter]:
    """Yield dead letters, store by store. Raises UsageError where there is no such webhook."""
    return (letter for _, letter in _located(state, selection))


def find(state: Path, name: str) -> DeadLetter:
    """Return one dead letter by its short name or webhook-id. Raises Refused where there is none."""
    for letter in select(state, Selection(ids=(name,))):
        return letter
    raise Refused(f"there is no dead letter `{name}`; `hookline dlq list` shows them")


def records(letters: Iterable[DeadLetter], state: Path) -> Iterator[bytes]:
    """Yield the records that nobody could read as lines of a recording, each with its origin and its message.

    state: whose dead letters they are, so that a replay joins them with what is known there.

    In the order of the messages' times, those of one source in its order. A member of an envelope has an
    origin of its own: that of the whole line is the one of its first member. A line of which several parts
    could not be read comes once.
    """
    home = str(state.absolute())
    before: tuple[str, int] | None = None
    bodies: set[bytes] = set()
    broken = ((letter.message or Envelope(), letter) for letter in letters if letter.kind == "record")
    for around, letter in sorted(broken, key=lambda one: (one[0].time or 0, one[1].key)):
        body = letter.request.body
        place = letter.origin.source, letter.origin.offset
        if place != before:
            before = place
            bodies.clear()
        if body in bodies:
            continue
        bodies.add(body)
        source, offset = _apart(letter.origin)
        yield dump_line(
            Message(
                source, offset, around.time, around.key, [*around.headers] or None,
                None if around.is_tombstone else body,
            ),
            dead=home,
        )  # fmt: skip


def died_in(paths: Sequence[str]) -> tuple[set[Path], bool]:
    """Return the state directories that files were written out of by `records`, and whether all were.

    Of many files the first are looked at: a recording may have thousands, none of which is such a one.
    """
    found = [_died_in(given.path) for given in find_inputs(paths)[:_LOOKED_AT]]
    return {Path(state) for state in found if state is not None}, None not in found


_LOOKED_AT: Final = 100


def _died_in(path: str) -> str | None:
    if not is_recording(path) or not Path(path).is_file():
        return None  # what a pipe brings comes once
    return recorded.died_in(first_line(path))


def _apart(origin: Origin) -> tuple[str, int]:
    """Return a place that no other record has: formats go by what stands before `~`, and by files' names."""
    if not origin.item:
        return origin.source, origin.offset
    topic, slash, partition = origin.source.rpartition("/")
    if slash and partition.isdigit():
        return f"{topic}{'.' if '~' in topic else '~'}{origin.item}/{partition}", origin.offset
    return origin.source, origin.offset + origin.item  # inside of the same line


def change(state: Path, action: Literal["replay", "purge"], selection: Selection) -> Changed | None:
    """Owe dead letters again, with their webhook-id, or delete them for good; None: none is selected.

    A record that could not be read is no request: it stays where others are owed again.
    """
    found: list[tuple[Path, bytes]] = []
    stay = 0
    for store, letter in _located(state, selection):
        if action == "replay" and letter.kind == "record":
            stay += 1
        else:
            found.append((store, letter.key))
    if not found:
        return Changed(0, stay=stay) if stay else None
    return replace(ask_or_leave(state, action, found), stay=stay)


def _located(state: Path, selection: Selection) -> Iterator[tuple[Path, DeadLetter]]:
    if selection.webhook not in (None, "-"):
        require_webhook(state, selection.webhook)
    return ((store, letter) for store, letter in dead_letters(state) if selection.holds(letter))
