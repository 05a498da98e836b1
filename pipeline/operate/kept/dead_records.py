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
    """Yield the unreadable records as lines of a recording, each with its origin and message.

    state: whose dead letters they are, so that a replay uses the users known there. Ordered by message time,
    those of one source in its own order. A member of an envelope has an origin of its own; the whole line has
    that of its first member. A line with several unreadable parts is yielded once.
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
    """Return the state directories from which `records` wrote these files, and whether it wrote all of them.

    Of many files only the first are examined: a recording may have thousands.
    """
    found = [_died_in(given.path) for given in find_inputs(paths)[:_LOOKED_AT]]
    return {Path(state) for state in found if state is not None}, None not in found


_LOOKED_AT: Final = 100


def _died_in(path: str) -> str | None:
    if not is_recording(path) or not Path(path).is_file():
        return None  # a pipe can be read only once
    return recorded.died_in(first_line(path))


def _apart(origin: Origin) -> tuple[str, int]:
    """Return an origin that no other record has: formats go by the part before `~`, and by files' names."""
    if not origin.item:
        return origin.source, origin.offset
    topic, slash, partition = origin.source.rpartition("/")
    if slash and partition.isdigit():
        return f"{topic}{'.' if '~' in topic else '~'}{origin.item}/{partition}", origin.offset
    return origin.source, origin.offset + origin.item  # inside the same line
