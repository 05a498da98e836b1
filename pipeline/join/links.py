"""Whose an anonymous id is: links, and the profiles of ids not linked yet (DESIGN 6, Identity)."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from pipeline.model.json import Json
from pipeline.model.records import Event, IdentityLink, Invalid, PropertyUpdate, Record
from pipeline.model.sizes import USUAL, Sizes
from pipeline.store.cache import Generations
from pipeline.store.rows import Rows, Table, row_key

CACHE_IDS = 65_536
"""Anonymous ids, linked or not, that are cached per key in each of two generations."""
CACHE_BYTES = 16 << 20
"""Memory they may take in each generation: ids can be long."""


PROFILE_ITEM = 1 << 31
"""Set in ``origin.item`` of the update that a link yields: the record with the link may hold an update as
well, and both may fire one webhook."""


def user_key(user_id: str | None, anonymous_id: str | None) -> str:
    """Return the key of a user's row: user ids and anonymous ids never collide."""
    return f"u:{user_id}" if user_id is not None else f"a:{anonymous_id}"


class Identity:
    """The links that one source partition has seen, applied to its records in stream order."""

    def __init__(self, rows: Rows, cache_ids: int = CACHE_IDS, sizes: Sizes = USUAL) -> None:
        self._rows = rows
        self._sizes = sizes
        self._cache: Generations[str, str | None] = Generations(cache_ids, CACHE_BYTES, _held)
        # Alias calls may merge ids that were used as user ids. They are few, and no more than `max_merged`,
        # so all are in memory, and events of ordinary user ids cost one look-up in a dict.
        self._merged: dict[str, str] = {}
        self._merged_size = 0
        for _, value in rows.items(Table.MERGED):
            merged, user_id = orjson.loads(value)
            self._merged[merged] = user_id
            self._merged_size += _counted(merged, user_id)
        self.refused = 0
        """Alias calls beyond `max_merged`."""

    def resolve(self, record: Record) -> Iterator[tuple[str, Record]]:
        """Yield the record under its user id, with the user's key; a link yields the profile it brings."""
        if isinstance(record, Event):
            yield self.own(record), record
        elif isinstance(record, PropertyUpdate):
            key = self.own(record)
            if record.user_id is None:
                self._remember(str(record.anonymous_id), record)
            yield key, record
        elif isinstance(record, IdentityLink):
            yield from self.link(record)
        elif isinstance(record, Invalid):
            yield str(record.origin), record

    def link(self, link: IdentityLink) -> Iterator[tuple[str, Record]]:
        """Apply a link: the first one of an anonymous id counts, and brings its profile to the user.

        An alias call beyond `max_merged` also yields itself as an invalid record.
        """
        anonymous_id, user_id = link.anonymous_id, self._current(link.user_id)
        if link.alias and anonymous_id != user_id and anonymous_id not in self._merged:
            size = self._merged_size + _counted(anonymous_id, user_id)
            if size > self._sizes.merged:
                # Merged ids are stored as rows, so that a replay of the stream refuses the same calls.
                self.refused += 1
                yield str(link.origin), _refused(link, self._sizes.merged)
            else:
                self._merged_size = size
                self._merged[anonymous_id] = user_id
                pair = orjson.dumps([anonymous_id, user_id])
                self._rows.put(Table.MERGED, row_key(anonymous_id), pair)
        if self._alias(anonymous_id) is not None:
            return
        self._cache.put(anonymous_id, user_id)
        self._rows.put(Table.ALIASES, row_key(anonymous_id), user_id.encode())
        profile = self._rows.get(Table.PROFILES, row_key(anonymous_id))
        if profile is None:
            return
        self._rows.delete(Table.PROFILES, row_key(anonymous_id))
        origin = link.origin._replace(item=link.origin.item | PROFILE_ITEM)
        at, known = link.time, orjson.loads(profile)
        brought = PropertyUpdate(None, user_id, None, at, None, None, {}, known, (), origin)
        yield user_key(user_id, None), brought
        gone = PropertyUpdate(None, None, anonymous_id, at, None, None, {}, {}, (), link.origin, delete=True)
        yield user_key(None, anonymous_id), gone

    def own(self, record: Event | PropertyUpdate) -> str:
        """Assign an event or update to its user, in place, and return the user's key."""
        if record.user_id is None:
            if record.anonymous_id is not None:
                record.user_id = self._alias(record.anonymous_id)
        elif self._merged:
            record.user_id = self._current(record.user_id)
        return user_key(record.user_id, record.anonymous_id)

    def _current(self, user_id: str) -> str:
        """Follow alias calls; a cycle ends where it began.

        The ids on the way then point directly at the end, so that a chain is walked once.
        """
        following = self._merged.get(user_id)
        if following is None:
            return user_id
        seen: dict[str, None] = {user_id: None}
        while following is not None and following not in seen:
            user_id = following
            seen[user_id] = None
            following = self._merged.get(user_id)
        if following is None:
            for passed in seen:
                if passed != user_id:
                    self._merged[passed] = user_id
        return user_id

    def _alias(self, anonymous_id: str) -> str | None:
        young = self._cache.young
        found = (
            young[anonymous_id] if anonymous_id in young else self._cache.again(anonymous_id, self._linked)
        )
        return self._current(found) if found is not None and self._merged else found

    def _linked(self, anonymous_id: str) -> str | None:
        row = self._rows.get(Table.ALIASES, row_key(anonymous_id))
        return row.decode() if row is not None else None

    def _remember(self, anonymous_id: str, update: PropertyUpdate) -> None:
        row = row_key(anonymous_id)
        before = self._rows.get(Table.PROFILES, row)
        profile: dict[str, Json] = orjson.loads(before) if before is not None and not update.delete else {}
        profile.update(update.set)
        for name, value in update.set_once.items():
            profile.setdefault(name, value)
        for name in update.unset:
            profile.pop(name, None)
        if profile:
            dumped = orjson.dumps(profile)
            # A profile that would get too large stays unchanged; its own row (join/users.py) counts the
            # refusal.
            if len(profile) <= self._sizes.user_properties and len(dumped) <= self._sizes.user_bytes:
                self._rows.put(Table.PROFILES, row, dumped)
        elif before is not None:
            self._rows.delete(Table.PROFILES, row)


def _counted(merged: str, user_id: str) -> int:
    """Return the weight of a pair in the limit, which exists to bound memory."""
    return 1 + (len(merged) + len(user_id)) // 512


def _refused(link: IdentityLink, most: int) -> Invalid:
    raw = {"type": "identify", "user_id": link.user_id, "anonymous_id": link.anonymous_id, "time": link.time}
    reason = (
        f"the alias call joins two ids, and {most:,} are joined already: it was taken as a link of the "
        "anonymous id alone. Raise `join.max_merged` in pipeline.yaml if there is memory for more"
    )
    return Invalid(orjson.dumps(raw), reason, link.origin)


def _held(anonymous_id: str, user_id: str | None) -> int:
    """Return the memory that one cached link takes, in bytes: two texts and their entry."""
    return 300 + len(anonymous_id) + (len(user_id) if user_id is not None else 0)
