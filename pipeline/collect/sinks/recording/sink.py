"""Keeps batches in a folder: everything that waits becomes one group, one write, one sync."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pipeline.collect.batch import Refused, Why
from pipeline.collect.sinks.intake import Intake, IntakeSink, Ticket
from pipeline.collect.sinks.order import places
from pipeline.collect.sinks.recording.folder import Folder
from pipeline.collect.sinks.recording.keeper import Keeper
from pipeline.collect.sinks.recording.line import line_rests
from pipeline.collect.sinks.recording.mend import lately, mend
from pipeline.collect.sinks.recording.writer import Group, Writer
from pipeline.config.models.installation.collect import CollectSection
from pipeline.model.errors import StateError
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import COLLECT_KEEPING, COLLECT_REFUSING

log = logging.get(__name__)

GROUP_BYTES = 4 << 20
GROUP_LINES = 1 << 16
"""A group takes no further request beyond these."""
AHEAD_MS = 60_000
DISK_SECS = 10
TRY_SECS = 5.0
"""When it is worth coming again after the disk refused."""

_Piece = tuple[int, Sequence[bytes]]
"""When lines were received, and what follows number and time in each of them."""


class _Unit(msgspec.Struct):
    """Batches that are written together, as lines."""

    tickets: list[Ticket]
    pieces: list[_Piece]
    size: int


class RecordingSink(IntakeSink):
    """Keeps batches in a folder; one per folder, used from one event loop.

    Raises StateError where another collector has the folder or what stands there cannot be gone on from;
    Fatal where the disk refuses.
    """

    def __init__(
        self,
        section: CollectSection,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._intake = Intake(self._put, dedupe_secs=section.dedupe_secs, order_secs=section.order_secs)
        assert section.to.recording is not None  # this sink was chosen for it
        self._folder = Folder(Path(section.to.recording))
        try:
            mend(self._folder)
            now, now_ms, ring = time.monotonic(), clock_ms(), self._intake.ring
            for at_ms, digest in lately(self._folder, now_ms - section.dedupe_secs * 1000, ring.most):
                ring.add((digest,), now - max(0, now_ms - at_ms) / 1000)
            if self._folder.known.time_ms > now_ms + AHEAD_MS:
                log.warning(
                    "what was kept last is ahead of the clock: all that comes has its time until the clock "
                    "has caught up",
                    secs=(self._folder.known.time_ms - now_ms) // 1000,
                )
            self._keeper = Keeper(self._folder, section)
            known = self._folder.known
            self._next_line, self._last_ms = known.next_line, known.time_ms
            self._head = f'{{"hookline":1,"source":"collect-{known.id}/0","offset":'.encode()
            self._writer = Writer(
                self._folder,
                self._keeper,
                self._written,
                segment_bytes=section.segment_bytes,
                segment_secs=section.segment_secs,
            )
        except BaseException:
            self._folder.close()
            raise
        self._writer.start()
        self._keeper.start()
        self._new_file = True
        """Nothing was written to the segment: its first line has to be later than all before it."""
        self._ready: list[_Unit] = []
        self._under: list[_Unit] = []
        """The group under way."""
        self._first = self._next_line
        """The number of its first line."""
        self._woken = False
        self._refusing = False
        self._refused_at = 0.0

    @property
    def trouble(self) -> Why | None:
        """DISK while what comes is refused by the disk, as far as is known.

        A while after the last refusal it is None where another try may find room: whoever looks at this
        before sending anything would wait for ever.
        """
        if not self._refusing:
            return None
        growing = self._writer.growing
        may_try = time.monotonic() >= self._refused_at + TRY_SECS and (
            (growing is not None and growing[1] > 0) or self._keeper.has_room()
        )
        return None if may_try else Why.DISK

    def _end(self) -> None:
        """Let the folder go."""
        self._keeper.close()
        try:
            self._writer.close(self._next_line)
        except (OSError, StateError) as error:
            # The next start finds it as after a crash.
            log.warning("the folder was not closed", folder=str(self._folder.path), reason=str(error))
        self._folder.close()

    def _put(self, tickets: list[Ticket]) -> None:
        """Take batches that are to be written together."""
        if len(tickets) == 1:
            (ticket,) = tickets
            batch, size = ticket.batch, ticket.size
            rests = line_rests(batch.members, batch.are_good)
            pieces: list[_Piece] = [(batch.received_ms, rests)]
        else:
            batches = [ticket.batch for ticket in tickets]
            size = sum(ticket.size for ticket in tickets)
            each = [line_rests(batch.members, batch.are_good) for batch in batches]
            pieces = [
                (batches[number].received_ms, (each[number][index],)) for number, index in places(batches)
            ]
        self._ready.append(_Unit(tickets, pieces, size))
        if not self._under and not self._woken:
            # What else is read in this turn of the loop goes along.
            self._woken = True
            self._intake.loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Let what is ready be written, unless a group is under way."""
        self._woken = False
        if self._under or not self._ready:
            return
        try:
            group, taken = self._next_group()
        except Exception as fault:  # memory that there is not: who waits is told
            ready, self._ready = self._ready, []
            self._intake.over(_tickets(ready), fault)
            return
        self._under = self._ready[:taken]
        del self._ready[:taken]
        self._writer.put(group)

    def _next_group(self) -> tuple[Group, int]:
        """Return what is written next, and how many units of what is ready it has."""
        begins = self._writer.wants_new_segment()
        first = number = self._next_line
        last_ms = self._last_ms + 1 if begins or self._new_file else self._last_ms
        head = self._head
        lines: list[bytes] = []
        size = taken = 0
        for unit in self._ready:
            if size >= GROUP_BYTES or number - first >= GROUP_LINES:
                break
            taken += 1
            size += unit.size
            for received_ms, rests in unit.pieces:
                last_ms = max(last_ms, received_ms)
                at = b',"time":%d' % last_ms
                if len(rests) == 1:
                    lines += (head, b"%d" % number, at, rests[0])
                    number += 1
                    continue
                following = number + len(rests)
                parts = [head] * (4 * len(rests))
                parts[1::4] = map(b"%d".__mod__, range(number, following))
                parts[2::4] = [at] * len(rests)
                parts[3::4] = rests
                lines += parts
                number = following
        group = Group(b"".join(lines), first, last_ms, begins)
        # Not given back where the group is refused: a reader may have seen its lines.
        self._first, self._next_line, self._last_ms = first, number, last_ms
        self._new_file = False
        return group, taken

    def _written(self, failed: Exception | None, secs: float) -> None:
        """Take what became of the group under way; in the writer's thread."""
        self._intake.loop.call_soon_threadsafe(self._over, failed, secs)

    def _over(self, failed: Exception | None, secs: float) -> None:
        under, self._under = self._under, []
        tickets, written = _tickets(under), self._writer.written
        try:
            if failed is not None and not self._writer.seen:
                self._next_line = self._first
            # The next group is on its way while this one is answered.
            self._begin()
            self._account(tickets, written, failed, secs)
        finally:
            # Whatever goes wrong above, nobody waits for ever.
            self._intake.over(tickets, None if failed is None else Refused(Why.DISK, DISK_SECS))

    def _account(self, tickets: list[Ticket], written: int, failed: Exception | None, secs: float) -> None:
        """Note down what became of a group, in metrics and log."""
        was_refusing, self._refusing = self._refusing, failed is not None
        if failed is None:
            self._intake.kept(tickets, written, secs)
            if was_refusing:
                COLLECT_KEEPING.happened(log, folder=str(self._folder.path))
        else:
            self._refused_at = time.monotonic()
            if not was_refusing:
                COLLECT_REFUSING.happened(log, folder=str(self._folder.path), reason=str(failed))


def _tickets(units: Sequence[_Unit]) -> list[Ticket]:
    return [ticket for unit in units for ticket in unit.tickets]
