"""Records that could not be read, written out as a recording and recognised when they are read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pipeline.model.records import Envelope, Origin
from pipeline.outbox.codec import DeadLetter
from pipeline.sources.files.finding.inputs import find_inputs
from pipeline.sources.files.lines import recorded
from pipeline.sources.files.lines.blocks import first_line
from pipeline.sources.files.lines.recorded import Message, dump_line, is_recording


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
