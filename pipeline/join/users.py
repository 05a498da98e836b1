"""What is known about each user: set, set_once, unset, in log order (DESIGN 6, Join)."""

from __future__ import annotations

from itertools import islice
from typing import Any, TypeAlias

import orjson

from pipeline.join.forms import Forms
from pipeline.model.json import Json, equal, same
from pipeline.model.records import MISSING, PropertyUpdate
from pipeline.model.sizes import USUAL, Sizes
from pipeline.store.cache import Generations
from pipeline.store.rows import Rows, Table, row_key

Known: TypeAlias = "list[Any]"
"""[Partition of the last update, properties, weight, forms]; an unknown user is [None, {}, n, {}].

weight: its `held_bytes`; until they are asked for (`_weight`), the row to count them from. forms: by table,
which form of its columns the user's row had (`Forms`). On disk it comes third and last, and only where there
are any."""

CACHE_USERS = 16_384
"""Decoded users cached per shard in each of two generations."""
CACHE_BYTES = 8 << 20
"""Memory they may take in each generation: some 8,000 users with a dozen properties."""
CHANGED_BYTES = 8 << 20
"""Beyond this, updates are written before the epoch's end: until written, changed users stay in memory."""

SOME = 8
EARLY_USERS = 256
"""How many are written early at a time, and in an epoch: one that changes again is written again."""


class Users:
    """The users of one shard, read through a bounded cache of decoded ones.

    LMDB releases the GIL at each call, which costs a thread switch while the engine runs: hence the cache,
    which also remembers unknown users.
    """

    def __init__(
        self,
        rows: Rows,
        cache_users: int = CACHE_USERS,
        sizes: Sizes = USUAL,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._rows = rows
        self._forms = Forms(rows)
        self._cache: Generations[str, Known] = Generations(cache_users, cache_bytes, _weight_in_cache)
        self._changed: dict[str, Known] = {}
        self._sizes = sizes
        self._most: dict[str, int] = {}
        """Upper bound on the bytes of the users changed in this epoch; exact only where it matters."""
        self._grown = 0
        """Upper bound on the bytes of the updates since the last flush."""
        self._early = 0
        """How many were written before the epoch's end."""
        self.without_form = 0
        """Rows of tables whose columns are not remembered (`Forms`)."""
        self.refused = 0
        """Updates that would have made a user larger than it may be."""
        self.misrouted = 0
        """Updates that came from another partition than the user's last one."""

    def get(self, key: str) -> dict[str, Json]:
        """Return the user's properties; empty for an unknown user. The caller must not change them."""
        properties: dict[str, Json] = (self._cache.young.get(key) or self._cache.again(key, self._load))[1]
        return properties

    def apply(self, key: str, update: PropertyUpdate, partition: str) -> dict[str, Any]:
        """Apply an update and return the old values of the properties that really changed.

        A new property has the old value MISSING. Within one update ``set`` wins over ``set_once``; ``unset``
        comes last. An update that would make the user larger than `limits` allows is refused as a whole:
        nothing changes.
        """
        user = self._cache.young.get(key) or self._cache.again(key, self._load)
        writer, properties = user[0], user[1]
        if writer != partition:
            if writer is not None:
                self.misrouted += 1
            user[0] = partition
        if not self._fits(key, _weight(user), {} if update.delete else properties, update):
            self.refused += 1
            return {}
        old: dict[str, Any] = {}
        if update.delete:
            old = dict(properties)
            properties.clear()
            user[3] = {}
        unset = update.unset
        if update.columns:
            unset += self._gone(key, user, update.columns)
        for name, value in update.set.items():
            before = properties.get(name, MISSING)
            if before is MISSING or not same(before, value):
                old.setdefault(name, before)
                properties[name] = value
        for name, value in update.set_once.items():
            if name not in properties:
                old.setdefault(name, MISSING)
                properties[name] = value
        for name in unset:
            before = properties.pop(name, MISSING)
            if before is not MISSING:
                old.setdefault(name, before)
        if old:
            self._changed[key] = user
            if self._grown > CHANGED_BYTES:
                self.flush()
        return {name: before for name, before in old.items() if not _undone(before, properties, name)}

    def _gone(self, key: str, user: Known, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns that the table had at the user's last row, and no longer has."""
        forms: dict[str, int] = user[3]
        number, table = self._forms.number(columns), columns[0]
        before = forms.get(table)
        if number is None:
            self.without_form += 1
            if before is not None:
                del forms[table]
                self._changed[key] = user
            return ()
        if before == number:
            return ()
        forms[table] = number
        self._changed[key] = user
        return () if before is None else self._forms.less(before, number)

    def _fits(self, key: str, held: int, properties: dict[str, Json], update: PropertyUpdate) -> bool:
        """Return whether the user stays within its limits; the answer does not depend on where epochs end.

        held: `held_bytes` when it was last read or written, an upper bound of its JSON size.
        """
        given = len(update.set) + len(update.set_once)
        if not given:
            return True
        sizes = self._sizes
        if len(properties) + given > sizes.user_properties and (
            len({*properties, *update.set, *update.set_once} - {*update.unset}) > sizes.user_properties
        ):
            return False
        before = self._most.get(key, held)
        given_bytes = most_bytes(update.set)
        if update.set_once:
            given_bytes += most_bytes(update.set_once)
        self._grown += given_bytes
        after = before + given_bytes
        if after > sizes.user_bytes:
            whole = {**update.set_once, **properties, **update.set}
            for name in update.unset:
                whole.pop(name, None)
            after = len(orjson.dumps(whole))
            if after > sizes.user_bytes:
                return False
        self._most[key] = after
        return True

    def write_some(self) -> None:
        """Write some of the changed users early, so that the epoch's end has less to do.

        Each may change again and be written again, so there is a limit per epoch.
        """
        if len(self._changed) < SOME or self._early >= EARLY_USERS:
            return
        self._early += SOME
        for key in list(islice(self._changed, SOME)):
            self._write(key, self._changed.pop(key))
            self._most.pop(key, None)

    def flush(self) -> None:
        """Write the changed users to the open epoch."""
        for key, user in self._changed.items():
            self._write(key, user)
        self._forms.flush()
        self._changed.clear()
        self._most.clear()
        self._grown = self._early = 0

    def _write(self, key: str, user: Known) -> None:
        row = row_key(key)
        if not user[1]:
            self._rows.delete(Table.USERS, row)
            return
        # Kept until the commit: copied, since a result of orjson holds 4 KiB or more beyond its length.
        whole = [user[0], user[1], user[3]] if user[3] else user[:2]
        value = b"".join((orjson.dumps(whole), b""))
        self._rows.put(Table.USERS, row, value)
        heavier = held_bytes(value) - _weight(user)
        if heavier > 0:
            user[2] += heavier
            if key in self._cache.young:
                self._cache.weight += heavier

    def _load(self, key: str) -> Known:
        found = self._changed.get(key)
        if found is None:
            value = self._rows.get(Table.USERS, row_key(key))
            if value is None:
                return [None, {}, _NOBODY_BYTES, {}]
            # In place: each list that need not be made is felt where most users are read from the store.
            found = orjson.loads(value)
            found.insert(2, value)
            if len(found) == 3:
                found.append({})
        return found


_NOBODY_BYTES = 400
_SIGNS = b",{["
"""Characters of JSON that start another object in memory."""


def held_bytes(row: bytes) -> int:
    """Return roughly how much memory a user takes once decoded, by counting the characters that start
    objects.

    Measured: 65,000 numbers in 1 MB of JSON take 7.7 MB. A single character beyond Latin-1 makes a text take
    four bytes per character.
    """
    size = len(row)
    text = size if row.isascii() else 4 * size
    # Removed all at once, in half the time of counting each.
    return 400 + text + 130 * (size - len(row.translate(None, _SIGNS)))


def _weight(user: Known) -> int:
    weight: int | bytes = user[2]
    if isinstance(weight, bytes):
        # Not at once: most of ten million users are read, and neither cached nor changed.
        weight = user[2] = held_bytes(weight)
    return weight


def _weight_in_cache(key: str, user: Known) -> int:
    return _weight(user) + len(key)


NESTED_BYTES = 64
"""Memory of an empty list beyond its characters; a map takes three times as much."""
_MAP_BYTES = 2 + 3 * NESTED_BYTES


def most_bytes(value: Json) -> int:
    """Return an upper bound on the size of a value's JSON, in less time than writing it.

    It bounds the value's memory just as roughly.
    """
    total = 0
    todo = [value]
    while todo:
        one = todo.pop()
        if type(one) is str:
            total += 3 + 6 * len(one)
        elif type(one) is dict:
            total += _MAP_BYTES
            for name, inner in one.items():
                total += 4 + 6 * len(name)
                if type(inner) is str:
                    total += 3 + 6 * len(inner)
                elif type(inner) is dict or type(inner) is list:
                    todo.append(inner)
                else:
                    total += 26
        elif type(one) is list:
            total += 2 + NESTED_BYTES + len(one)
            todo += one
        else:
            total += 26
    return total


def _undone(before: Any, properties: dict[str, Json], name: str) -> bool:
    """True where the new value equals the old one: changed back, or written differently (5, then 5.0)."""
    after = properties.get(name, MISSING)
    if before is MISSING or after is MISSING:
        return before is after
    return equal(before, after)
