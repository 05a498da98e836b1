"""The whole story in memory: records in, the requests they would make out. Nothing is stored or sent.

For `hookline test`, `explain`, `diff`, `send` and dry runs: the parts of the job's story, in the job's order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from pipeline.compile.snapshot import Snapshot
from pipeline.job.replay import Replay
from pipeline.job.story import Chosen, Match, Moment, Story, choose, resolve
from pipeline.join.known import Above, Beneath
from pipeline.join.links import Identity
from pipeline.model.records import Event, Invalid, PropertyUpdate, Record, User
from pipeline.model.sizes import USUAL, Sizes
from pipeline.store.memory import MemoryRows
from pipeline.store.rows import Rows

PARTITION = "given"
"""The source of all records; a single partition, so that none is misrouted."""


class Rehearsal:
    """Users, links and limits of one run under one config.

    replay: which events and webhooks may fire; None: all that are enabled. known: what is known of users
    before; None: nothing.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        replay: Replay | None = None,
        sizes: Sizes = USUAL,
        known: Beneath | None = None,
    ) -> None:
        rows: Rows = MemoryRows() if known is None else Above(MemoryRows(), known)
        self._snapshot = snapshot
        self._identity = Identity(rows, sizes=sizes)
        self._story = Story(rows, lambda: time.time_ns() // 1_000_000, replay, sizes)

    def know(self, update: PropertyUpdate) -> None:
        """Apply an update as previously known: it fires nothing."""
        for key, own, _ in resolve([(update, ())], self._identity):
            if isinstance(own, PropertyUpdate):
                self._story.users.apply(key, own, PARTITION)

    def rehearse(self, record: Record) -> list[Match]:
        """Return what a record fires, in the order of the config files."""
        return [one for one in self.tell(record) if isinstance(one, Match)]

    def tell(self, record: Record) -> list[Match | Invalid]:
        """Return the same, and the record itself where it is invalid."""
        return self._tell(choose([record], self._snapshot.triggers))

    def moments(self, record: Record) -> Iterator[tuple[Event, User, list[Match], str | None]]:
        """Yield what conditions see of a record, what it fires, and its reason where it is invalid.

        Also for records that no webhook wants.
        """
        seen: list[Moment] = []
        chosen = choose([record], self._snapshot.triggers)
        if not any(one is record for one, _ in chosen):
            chosen.append((record, ()))
        told = self._tell(chosen, seen)
        unusable = next((one.reason for one in told if isinstance(one, Invalid)), None)
        for event, user in seen:
            matches = [one for one in told if isinstance(one, Match) and one.event is event]
            yield event, user, matches, unusable

    def _tell(self, chosen: list[Chosen], seen: list[Moment] | None = None) -> list[Match | Invalid]:
        return list(self._story.tell(resolve(chosen, self._identity), self._snapshot, PARTITION, seen))
