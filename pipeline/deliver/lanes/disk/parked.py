"""Deliveries of an ordered lane that are on their way to disk: later ones of the same user follow them."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.outbox.handover import Delivery, Port

_COMMITS = 2
"""Commits after which a row is certainly on disk: the worker takes results, commits, then reports; a row
posted in between is not in that commit. From then on the shard itself sends the user's later ones to disk."""


class Parked:
    """By row: the port whose commits to count, the user, and how many are still to come."""

    def __init__(self) -> None:
        self._rows: dict[bytes, tuple[Port, str, int]] = {}
        self._users: dict[str, int] = {}

    def __contains__(self, row: bytes) -> bool:
        return row in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def holds_up(self, user: str) -> bool:
        """Return whether one of this user is among them."""
        return user in self._users

    def add(self, delivery: Delivery) -> None:
        """It has left for the disk."""
        user = delivery.request.user
        self._rows[delivery.row] = (delivery.port, user, _COMMITS)
        self._users[user] = self._users.get(user, 0) + 1

    def committed(self, port: Port) -> None:
        """The port's shard has committed."""
        for row, (of, user, commits) in list(self._rows.items()):
            if of is not port:
                continue
            if commits > 1:
                self._rows[row] = (of, user, commits - 1)
            else:
                self.forget((row,))

    def forget(self, rows: Iterable[bytes]) -> None:
        """These are back in memory, on disk, or dropped by a command."""
        for row in rows:
            found = self._rows.pop(row, None)
            if found is None:
                continue
            user = found[1]
            left = self._users[user] - 1
            if left:
                self._users[user] = left
            else:
                del self._users[user]
