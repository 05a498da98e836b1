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
from pipeline.store.rows import Rows, Table, bounded

Known: TypeAlias = "list[Any]"
"""[Partition of the last update, properties, `held_bytes`, forms]; nobody is [None, {}, n, {}].

forms: by table, which form of its columns the user's row had (`Forms`). On disk it is the third and last, and
only where there are some.
"""

CACHE_USERS = 16_384
"""Decoded users a shard keeps in memory, in each of two generations."""
CACHE_BYTES = 8 << 20
"""What they may take there, in each generation: some 8,000 users of a dozen properties."""
CHANGED_BYTES = 8 << 20
"""Updates above this are written before the epoch's end: until then what has changed cannot be forgotten."""

SOME = 8
EARLY_USERS = 256
"""So many at a time are written before the epoch's end, and so many in an epoch: one that changes again is
written again."""


class Users:
    """The users of one shard, read through a bounded cache of decoded ones.

    LMDB releases the interpreter lock at each call, which costs a thread switch while the engine runs:
    hence the cache, also of users that are not there.
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
        self._cache: Generations[str, Known] = Generations(cache_users, cache_bytes, _held)
        self._changed: dict[str, Known] = {}
        self._sizes = sizes
        self._most: dict[str, int] = {}
        """Bytes that the users changed in this epoch have at most; exact only where it matters."""
        self._grown = 0
        """Bytes of the updates since the last flush, likewise."""
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
        """Apply an update and return the old values of the properties it really changed.

        A property that was not there has the old value MISSING. ``set`` wins over ``set_once`` for one
        name in one update; ``unset`` comes last. An update that would make the user larger than `limits`
        allows is refused as a whole: nothing changes.
        """
        user = self._cache.young.get(key) or self._cache.again(key, self._load)
        writer, properties = user[0], user[1]
        if writer != partition:
            if writer is not None:
                self.misrouted += 1
            user[0] = partition
        if not self._fits(key, user[2], {} if update.delete else properties, update):
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
        """Return the columns that a table had when the user's row was written last, and has no more."""
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
        """Return whether the user stays within its limits; the answer is the same however epochs are cut.

        held: `held_bytes` when it was read or written last, which are more than those of its JSON.
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
        """Write some of the changed users, so that the epoch's end has less to do.

        Each of them may change again: therefore no more than so many in an epoch.
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
        row = _row(key)
        if not user[1]:
            self._rows.delete(Table.USERS, row)
            return
        # Kept until the commit; as it is, a result of orjson keeps 4 KiB and more.
        whole = [user[0], user[1], user[3]] if user[3] else user[:2]
        value = b"".join((orjson.dumps(whole), b""))
        self._rows.put(Table.USERS, row, value)
        heavier = held_bytes(value) - user[2]
        if heavier > 0:
            user[2] += heavier
            if key in self._cache.young:
                self._cache.weight += heavier

    def _load(self, key: str) -> Known:
        found = self._changed.get(key)
        if found is None:
            value = self._rows.get(Table.USERS, _row(key))
            if value is None:
                return [None, {}, _NOBODY_BYTES, {}]
            writer, properties, *forms = orjson.loads(value)
            found = [writer, properties, held_bytes(value), forms[0] if forms else {}]
        return found


_NOBODY_BYTES = 400
_SIGNS = b",{["
"""What begins another object in memory."""


def held_bytes(row: bytes) -> int:
    """Return about how many bytes of memory a user takes, once read: by the signs that make objects of it.

    Measured: 65,000 numbers in 1 MB of JSON take 7.7 MB. One character beyond Latin-1 makes a text of it
    that takes four bytes for each.
    """
    size = len(row)
    text = size if row.isascii() else 4 * size
    # Left out all at once, in half the time of counting each.
    return 400 + text + 130 * (size - len(row.translate(None, _SIGNS)))


def _held(key: str, user: Known) -> int:
    held: int = user[2]
    return held + len(key)


NESTED_BYTES = 64
"""What an empty list takes in memory, more than its signs; a map takes three times as much."""
_MAP_BYTES = 2 + 3 * NESTED_BYTES


def most_bytes(value: Json) -> int:
    """Return a number of bytes that the value's JSON never has more of, in less time than writing it.

    Nor does it take much more in memory.
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
    """True where the new value equals the old one: changed back, or written otherwise (5, then 5.0)."""
    after = properties.get(name, MISSING)
    if before is MISSING or after is MISSING:
        return before is after
    return equal(before, after)


def _row(key: str) -> bytes:
    return bounded(key.encode("utf-8", "surrogatepass"))
