"""Webhooks at `max_pending` that pause the source, for as long as pausing helps them.

A source that waits for one webhook delays all (P4). So it waits only while the receiver accepts something: if
every attempt fails for `max_pause`, or nothing is answered for a minute, the webhook is given up. Its further
requests become dead letters until enough of the pending ones are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pipeline.outbox.counters import Counters, Ended
from pipeline.telemetry import log
from pipeline.telemetry.happenings import PAUSE_ENDED

SILENT_SECS = 60.0
"""The pause ends after this, or `max_pause` if longer, even if no attempt has failed: the webhook was halted,
or its next attempt is far off."""

_log = log.get("job")


class FullWebhooks:
    """One per process; each shard reports its part at the end of every epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.counters: dict[int, Counters] = {}
        """Of each shard of this process."""
        self.near: set[str] = set()
        """Webhooks of which a shard has had more pending than its part, or any at the start: whether they are
        full is counted."""
        self._clock = clock
        self._pausing: set[tuple[int, str]] = set()
        self._given_up: set[str] = set()
        self._since: dict[str, float] = {}
        """When each pausing webhook started to pause, or last had a delivery."""
        self._failing: set[str] = set()

    def __bool__(self) -> bool:
        """Return whether the source waits for a webhook."""
        return bool(self._pausing)

    def pauses(self, shard: int, webhook_id: str) -> bool:
        """A shard has too much pending of a webhook: the source waits. False where it was given up."""
        if webhook_id in self._given_up:
            return False
        self._pausing.add((shard, webhook_id))
        self._since.setdefault(webhook_id, self._clock())
        return True

    def look(
        self, shard: int, ended: Ended, has_room: Callable[[str], bool], max_pause: Callable[[str], float]
    ) -> None:
        """Take the outcomes of a shard's epoch: decide who has room again, and who is given up."""
        if not self._since and not self._given_up:
            return
        now = self._clock()
        for webhook_id in tuple(self._since):
            if webhook_id in ended.delivered:
                self._since[webhook_id] = now
                self._failing.discard(webhook_id)
            elif webhook_id in ended.failed:
                self._failing.add(webhook_id)
        self._room_again([webhook for of, webhook in tuple(self._pausing) if of == shard], shard, has_room)
        self._given_up.difference_update(
            [webhook for webhook in tuple(self._given_up) if webhook in ended.delivered]
        )
        for webhook_id in {webhook for _, webhook in tuple(self._pausing)}:
            patience = max_pause(webhook_id)
            waited = now - self._since[webhook_id]
            if waited > (patience if webhook_id in self._failing else max(patience, SILENT_SECS)):
                self._give_up(webhook_id, waited)

    def _room_again(self, webhooks: Iterable[str], shard: int, has_room: Callable[[str], bool]) -> None:
        for webhook_id in webhooks:
            if has_room(webhook_id):
                self._pausing.discard((shard, webhook_id))
                self._forget(webhook_id)

    def _give_up(self, webhook_id: str, waited: float) -> None:
        self._given_up.add(webhook_id)
        self._pausing = {pair for pair in self._pausing if pair[1] != webhook_id}
        self._forget(webhook_id)
        PAUSE_ENDED.happened(_log, webhook=webhook_id, waited_secs=round(waited, 1))

    def _forget(self, webhook_id: str) -> None:
        if not any(webhook == webhook_id for _, webhook in self._pausing):
            self._since.pop(webhook_id, None)
            self._failing.discard(webhook_id)
