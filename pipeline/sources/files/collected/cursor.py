"""Reads a collector's folder as one stream of lines, whatever the number of segments.

When followed, a line is read as soon as it is written. Only the next segment shows that a segment has ended,
so it is read once more when that appears. A segment may be compressed while it is read; the reader then
continues in the open file, or at its place in the compressed one. Segments that were read may be deleted; one
that is deleted before it was read ends the job, which names it.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import MutableMapping

from pipeline.model.errors import Fatal, StateError, reason
from pipeline.sources.files.collected.folder import Folder, reaches
from pipeline.sources.files.collected.place import COLLECTED, SegmentPlace
from pipeline.sources.files.collected.segment import PackedSegment, PlainSegment, Segment
from pipeline.sources.files.finding.inputs import Input
from pipeline.sources.files.lines.blocks import Damaged
from pipeline.sources.files.lines.lines import Lines
from pipeline.sources.files.lines.recorded import Message
from pipeline.sources.files.merging.line_cursor import LineCursor
from pipeline.sources.files.merging.running_time import Mark
from pipeline.telemetry.log import get

log = get(__name__)

_LOOK_SECS = 0.01
"""How often to look for a collector's folder that does not exist yet."""


_MOST_GAPS = 1_000
"""How many a collector remembers, the latest ones."""


class SegmentsCursor(LineCursor):
    """The lines of a collector's folder, which need not exist yet if it is followed.

    places: where to resume, by collector; kept up to date by ``remember``. Raises StateError where unread
    lines are gone, Fatal where something cannot be read.
    """

    def __init__(
        self, source: Input, places: MutableMapping[str, SegmentPlace], *, follow: bool, max_line_bytes: int
    ) -> None:
        self._stays = False
        super().__init__(source)
        self._place: SegmentPlace | None = None
        self._is_moved = False
        self._places = places
        self._follow = follow
        self._max_line_bytes = max_line_bytes
        self._folder = Folder(source.path)
        self._looked_at = 0.0
        self._is_known = False
        self._segment: Segment | None = None
        self._is_final = False
        """The open segment will get no more lines."""
        self._left: int | None = None
        """The last segment that was read to its end."""
        self._is_damaged = False
        """The number of lines in the previous segment is unknown."""
        self._passed_bytes = 0
        self._of_buffer = 0
        """The segment of the buffer's lines."""
        self._next_line = 0
        self._know()

    @property
    def read_bytes(self) -> int:
        """Bytes read from the disk."""
        return self._passed_bytes + (0 if self._segment is None else self._segment.read_bytes)

    def is_still(self) -> bool:
        """True where the last segment was read to its end and has not grown."""
        segment = self._segment
        if segment is None or self._is_final or not self.is_empty:
            return False
        return segment.is_still() and self._folder.is_same()

    def fill(self) -> bool:
        """Get lines when all were yielded; False where there are none now (or ever: ``ended``)."""
        while not self.ended:
            if not self._is_known and not self._know():
                return self._wait()
            if self._segment is None and self._stays:
                return False
            if self._segment is None and not self._enter():
                return self._wait()
            assert self._segment is not None
            try:
                found = self._segment.read()
            except Damaged as error:
                return self._pass_damage(error)
            except OSError as error:
                raise Fatal(f"{self._path(self._segment.first)}: cannot be read: {reason(error)}") from error
            if found is not None:
                return self._take(found)
            if self._segment.is_gone:
                self._drop()
            elif self._is_final:
                self._leave()
            elif self._after(self._segment.first) is not None:
                self._is_final = True  # once more: the last line may have come after the look before
            else:
                return self._wait()
        return False

    def advance(self, lines: int) -> None:
        """Count this many lines as yielded."""
        super().advance(lines)
        self._is_moved = True

    @property
    def place(self) -> SegmentPlace | None:
        """Its place; None before the first line."""
        self._settle()
        return self._place

    def _settle(self) -> None:
        """Record the place after the yielded lines, before others replace them."""
        if self._is_moved:
            self._is_moved = False
            messages = self.buffer.messages
            assert messages is not None  # these are recorded
            self._place = SegmentPlace(
                COLLECTED, self.name, self._of_buffer, self.buffer.starts[self.index],
                messages[self.index - 1].offset + 1, self.time.latest, self.time.doubts, self.time.since,
            )  # fmt: skip

    def remember(self) -> None:
        """Record the place, for the recovery state."""
        if self.place is not None:
            self._places[self.name] = self.place

    def close(self) -> None:
        """Close what is open. Never raises."""
        try:
            self._drop()
        except OSError:
            pass  # it is being discarded anyway

    # --- the folder

    def _know(self) -> bool:
        """Find out whose folder it is, and where to resume; False while there is no collector."""
        now = time.monotonic()
        if self._looked_at and now - self._looked_at < _LOOK_SECS:
            return False
        self._looked_at = now
        id = self._folder.read_id()
        if id is None:
            return False
        self.name = f"collect-{id}"
        self._is_known = True
        self._place = self._places.get(self.name)
        if self._place is not None:
            self.time = self._place.time
            self._next_line = self._place.line
        return True

    def _wait(self) -> bool:
        self.ended = not self._follow
        return False

    def _after(self, first: int) -> int | None:
        """Return the segment after one."""
        firsts = self._folder.firsts()
        at = bisect_right(firsts, first)
        return firsts[at] if at < len(firsts) else None

    def _path(self, first: int) -> str:
        return f"{self.source.path}/{first:020}.rec.jsonl"

    # --- segments

    def _enter(self) -> bool:
        """Open the segment with the next line; False while there is none."""
        place = self.place
        while True:
            left = self._left
            if left is None and place is not None:
                left = place.segment
                after = self._after(left)
                if after is None or place.line < after:
                    if self._open(left, place.byte):
                        return True
                    if self._folder.files(left):
                        continue
            first = self._after(-1 if left is None else left)
            if first is None:
                # A collector removes a segment of which nothing reached the disk, though lines of it may
                # have been read. If others are lost the next segment shows it.
                if left is None or self._follow or self._folder.files(left) or not self._folder.firsts():
                    return False
                # The next one may have begun, and this one been removed, between two listings.
                self._folder.forget()
                if not self._folder.files(left) and self._after(left) is None:
                    raise self._gone(left, "it is not there, and older ones are")
                continue
            self._check(first)
            if self._open(first, 0):
                return True

    def _open(self, first: int, byte: int) -> bool:
        """Open a segment at a place in it; False where it does not exist, or no longer."""
        for path in self._folder.files(first):
            kind = PlainSegment if path.endswith(".jsonl") else PackedSegment
            try:
                segment: Segment = kind(path, first, byte, self._max_line_bytes)
            except FileNotFoundError:
                continue  # being compressed right now
            except OSError as error:
                raise Fatal(f"{path}: cannot be read: {reason(error)}") from error
            if kind is PlainSegment and segment.size < byte:
                # A crash removed lines that were never acknowledged, before or after the job had read them.
                log.warning("a segment is shorter than what was read of it", file=path, read=byte)
            self._segment, self._is_final = segment, False
            self.total_bytes = self._passed_bytes + segment.size
            return True
        self._folder.forget()
        return False

    def _leave(self) -> None:
        if self._segment is not None:
            self._left = self._segment.first
            self._drop()

    def _drop(self) -> None:
        if self._segment is not None:
            self._passed_bytes += self._segment.read_bytes
            self._segment.close()
            self._segment = None

    def _check(self, first: int) -> None:
        """Raise StateError where unread lines before a segment are missing."""
        place, line = self.place, self._next_line
        if first == line or self._is_damaged:
            self._is_damaged = False
            return
        gaps = self._folder.gaps()
        if place is None:
            # A folder begins with whatever is left of it.
            if gaps is not None and reaches(gaps, 0, first):
                return
            log.warning(
                "the collector has removed its first segments: events see nothing of what they said of users",
                folder=self.source.path, first=first,
            )  # fmt: skip
            return
        if first < line:
            raise self._gone(
                first, f"it begins with line {first}, and lines up to {line - 1} were read before"
            )
        is_known = gaps is not None and reaches(gaps, line, first)
        if not is_known and (gaps is None or (len(gaps) >= _MOST_GAPS and line < gaps[0].first)):
            # The collector does not say, or no longer. It deletes the oldest segments first.
            is_known = place.segment in self._folder.firsts()
        if not is_known:
            raise self._gone(
                line, f"the lines {line} to {first - 1} are gone, and this job has not read them"
            )

    def _gone(self, first: int, reason: str) -> StateError:
        return StateError(
            f"{self._path(first)}: {reason}. Put the segment back (as it was, or compressed as .zst), or "
            "start with an empty state directory, which reads what is there; `collect.keep` says how long "
            "the collector waits for a job that does not run"
        )

    # --- lines

    def _take(self, found: Lines) -> bool:
        assert self._segment is not None
        found.unwrap(self.name)
        messages = found.messages
        assert messages is not None  # reported by unwrap
        for at in found.faults:
            before = messages[at - 1].offset if at else self._next_line - 1
            messages[at] = messages[at]._replace(source=f"{self.name}/0", offset=before + 1)
        number = messages[0].offset
        if number < self._next_line:
            raise self._gone(
                self._segment.first,
                f"line {number} stands where line {self._next_line} should: it is not what was read before",
            )
        self._settle()
        self.buffer, self.index = found, 0
        self._of_buffer = self._segment.first
        self._next_line = messages[-1].offset + 1
        return True

    def _pass_damage(self, error: Damaged) -> bool:
        """Yield the rest of a segment as one line with a fault, and continue with the next one."""
        assert self._segment is not None
        first = self._segment.first
        after = self._after(first)
        number = self._next_line if after is None else max(self._next_line, after - 1)
        reason = (
            f"{self._path(first)}: damaged at byte {error.byte} of the compressed file: {error.reason}; what "
            "follows in this segment is not read"
        )
        at = self.buffer.starts[-1] if self._of_buffer == first else 0
        self._settle()
        line = Message(f"{self.name}/0", number, None, None, None, b"")
        self.buffer, self.index = Lines([b""], [at, at], {0: reason}, [line]), 0
        self._of_buffer, self._next_line = first, number + 1
        self.damage = reason
        self._is_damaged = after is None
        self._leave()
        return True

    def _look(self, ahead: int) -> Mark | None:
        """Look ahead within one segment only: each line's place is in its own segment."""
        self._settle()
        self._stays = True
        try:
            return super()._look(ahead)
        finally:
            self._stays = False
