"""What passes between a shard's worker thread and the delivery engine's thread.

The worker hands over `Delivery` objects and later takes `Result`s. They meet only at a shard's `Port`: the
engine appends results to the journal and queues them under the port's lock, the worker takes them and
switches the journal's generation under the same lock (DESIGN 6, rules 3 and 6).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

import msgspec

Headers = tuple[tuple[str, str], ...]


class Request(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What is sent, to whom, for which event. The same in every attempt.

    Rows contain its fields in this order: add new ones at the end, with a default.
    """

    key: bytes
    """The delivery key: webhook id and origin (see codec.py); identifies it in journal and dead letters."""
    webhook_id: str = ""
    """"" for an unreadable record."""
    message_id: str = ""
    """The ``webhook-id`` header: the same in every attempt and every replay."""
    config: str = ""
    """Hash of the config version that rendered it."""
    method: str = ""
    url: str = ""
    headers: Headers = ()
    body: bytes = b""
    """URL, headers and body hold secrets only as slots (language/slots.py)."""
    user: str = ""
    """Queue for ``ordering: per_user``: the user's key."""
    created_ms: int
    """Wall clock (unix ms) of the match; ``max_age`` counts from here."""
    replay: bool = False


class Progress(msgspec.Struct, kw_only=True, array_like=True, gc=False):
    """How far the attempts of a request have come. Changed only by the engine."""

    attempt: int = 0
    """Attempts finished so far."""
    due_ms: int = 0
    """Wall clock (unix ms) before which it must not be sent again; 0: at once."""
    status: int = 0
    """Status of the last response; 0 where there was none."""
    excerpt: str = ""
    """Start of the last response, or what went wrong; escaped, at most 1,024 bytes."""


class Delivery(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """A request in memory, from the hand-over to its end."""

    port: Port
    """Receives its results."""
    request: Request
    progress: Progress
    row: bytes
    """Its key in the outbox: the delivery key, or webhook, user and a number where order matters."""
    # --- changed by the worker
    stored: bool = False
    """True while a row of the outbox holds it."""
    # --- changed by the engine
    gone: bool = False
    """True once a command has dropped it: skip it in queues."""
    asked_until: float = 0.0
    """Monotonic time before which the receiver asked not to be retried."""
    reauthorised: bool = False
    """True once it was sent again because its OAuth2 token had been refused."""


class Outcome(IntEnum):
    """The outcome of an attempt. The numbers are part of the journal's format."""

    DELIVERED = 1
    RETRY = 2
    DEAD = 3
    PARKED = 4
    """Removed from the engine's memory unchanged; its outbox row will bring it back. Never journalled."""


class Result(msgspec.Struct, gc=False):
    """The end of an attempt, as the worker sees it. Immutable by convention; not frozen, as one is made per
    attempt.
    """

    delivery: Delivery
    outcome: Outcome
    reason: str = ""
    """Why it died: a stable kebab-case word (``status-400``, ``max-age``, ``guard-refused``, ...)."""


class Room(IntEnum):
    """Whether a lane takes more into memory."""

    NONE = 0
    """Rows go to disk."""
    SOME = 1
    LONG = 2
    """There is room, but the request may wait for long: it should take no more memory than it needs."""


class JournalWriter(Protocol):
    """Where results survive until the next commit (outbox/journal.py)."""

    def append(self, results: list[Result], now_ms: int) -> None:
        """Write the results with one unsynced write."""

    def switch(self, generation: int) -> None:
        """Write the following results to another generation's file."""


class Port:
    """Where one shard's worker and the engine meet.

    ``refill`` reads committed rows of the outbox that the engine does not hold: called by the engine's
    thread, it returns at most ``limit`` deliveries of the webhook in key order after ``cursor``, fewer if
    they are large, and the cursor for the next call (None: the end was reached).
    """

    def __init__(
        self,
        shard: int,
        journal: JournalWriter,
        refill: Callable[[str, bytes | None, int], tuple[list[Delivery], bytes | None]],
    ) -> None:
        self.shard = shard
        self.refill = refill
        self.journal = journal
        self._lock = threading.Lock()
        self._results: list[Result] = []
        self._released: list[tuple[list[bytes], list[bytes]]] = []
        self.settling: set[bytes] = set()
        """Rows with a final result that is not committed yet: they must not be read again."""
        self.parked = False
        """True where a delivery was parked since the last `take`: neither side counts it until the commit."""
        self.stale: frozenset[bytes] = frozenset()
        """Of these, rows that are still owed: the journal has newer facts about them than the disk, until the
        next commit. An ordered user's later ones must not overtake them."""

    def post(self, results: list[Result], now_ms: int) -> None:
        """Journal the results, then queue them for the worker. Called by the engine, once per loop turn."""
        with self._lock:
            self.journal.append(results, now_ms)
            self._results.extend(results)
            retry, parked = Outcome.RETRY, Outcome.PARKED
            for result in results:
                outcome = result.outcome
                # Even if it is not stored yet: the worker may be writing its row right now.
                if outcome is not retry:
                    self.settling.add(result.delivery.row)
                    if outcome is parked:
                        self.parked = True

    def take(self, generation: int, *, always: bool = True) -> list[Result]:
        """Return the posted results and switch the journal. Called by the worker in ``snapshot()``.

        With ``always`` off the journal is switched only if there are results: the epoch has nothing else to
        commit, and a generation belongs to the commit that its results go into.
        """
        with self._lock:
            results, self._results = self._results, []
            self.parked = False
            if results or always:
                self.journal.switch(generation)
            return results

    def take_some(self, least: int) -> list[Result]:
        """Return the posted results if there are at least ``least``, within the present generation.

        Called by the worker between snapshots. ``parked`` stays: only a commit brings those rows back.
        """
        if len(self._results) < least or not self._lock.acquire(blocking=False):
            # The engine is writing its journal: the next call finds more.
            return []
        try:
            results, self._results = self._results, []
            return results
        finally:
            self._lock.release()

    def released(self, asked: list[bytes], free: list[bytes]) -> None:
        """Answer `Engine.drop`: of the rows asked for, these are not being sent, and are forgotten."""
        with self._lock:
            self._released.append((asked, free))

    def take_released(self) -> list[tuple[list[bytes], list[bytes]]]:
        """Return what was released since the last call. Called by the worker in ``snapshot()``."""
        if not self._released:
            return []
        with self._lock:
            released, self._released = self._released, []
            return released

    def settled(self, rows: list[bytes]) -> None:
        """The results of these rows are committed. Called by the worker after a commit."""
        with self._lock:
            self.settling.difference_update(rows)


class Engine(Protocol):
    """What a shard needs of the delivery engine (deliver/engine.py). All methods are thread-safe."""

    def accepts(self, webhook_id: str) -> Room:
        """Return whether the webhook's lane has room in memory; without it the row goes to the outbox."""

    def submit(self, deliveries: list[Delivery]) -> None:
        """Hand deliveries over; never blocks."""

    def on_disk(self, port: Port, webhook_id: str, rows: int) -> None:
        """Say that this many committed rows of the webhook wait in the shard's outbox, not in memory."""

    def drop(self, port: Port, rows: list[bytes]) -> None:
        """Forget deliveries that a command takes out of the outbox, unless they are being sent.

        The rows must be in ``port.settling``, so that they are not read again; the answer comes as
        ``port.released``, without results.
        """
