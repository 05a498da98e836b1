"""Table changes written by Debezium, from PostgreSQL, MySQL and other relational databases.

    {"before": null, "after": {"id": 7, "plan": "pro"}, "source": {"table": "users", "ts_ms": ..}, "op": "u"}

Three forms: this envelope, the same in ``{schema, payload}``, and the flattened row that
`ExtractNewRecordState` makes, with what it adds (``__op``, ``__deleted``). ``op``: c, u and r (a snapshot's
rows) set the user's properties to the columns, d forgets the user, as does a tombstone; m is no change of a
row, nor are the messages of heartbeats and transactions; t (TRUNCATE) does not say whom it has removed.

A column that Debezium could not read (unavailable.py) is left out: the user keeps what it has. ``before`` is
null where the table's replica identity is not FULL.

Sources: debezium.io, connectors/postgresql; tests/cdc has what Debezium 3.6 really wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import msgspec

from pipeline.decode.connect import keys
from pipeline.decode.connect.unavailable import is_unavailable
from pipeline.decode.framed.connect_values import Schema, parse, unwrap
from pipeline.decode.glance.glance import NOT_SEEN
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.shape import Seen, Shape, Side
from pipeline.decode.strangers import stranger
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, kind_of
from pipeline.model.records import Event, PropertyUpdate, Record, topic_of

Gives: TypeAlias = Literal["user", "event", "both"]

VERBS: Final = {"c": "created", "u": "updated", "d": "deleted"}
"""The event name of each operation; a row read by a snapshot is not an event."""

_SIDES: Final[dict[Gives, Side]] = {"user": "users", "event": "events", "both": "both"}
_EMPTY: Final = ("AA==", "{}", "1970-01-01", "00:00")
"""Text prefixes of decimal 0, of an empty object, and of times at 0."""
_POSITIONS: Final = (
    ("lsn",),  # PostgreSQL
    ("file", "pos", "row"),  # MySQL, MariaDB
    ("commit_lsn", "change_lsn", "event_serial_no"),  # SQL Server, Db2
    ("scn", "rs_id", "ssn"),  # Oracle: many changes have one SCN
)
"""Where a change stands in the database's log, by what Debezium's connectors write of it."""
_BESIDE: Final = {"file", "row"}
"""What flattened rows may be without."""
_CLOCKS: Final = {"ts_ms", "ts_us", "ts_ns"}
_TRANSACTION: Final = {"status", "id", "event_count", "data_collections"}
_BAGS: Final = ("properties", "traits", "context", "set", "set_once", "data")
"""Objects in records of other shapes."""


@dataclass(slots=True, frozen=True)
class Table:
    """How the rows of one table are read."""

    key: tuple[str, ...] = ()
    """Columns of the user's id, joined by ``:``. Empty: the only column of the message's key."""
    exclude: frozenset[str] = frozenset()
    """Columns that are not properties."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Names of properties by column."""
    gives: Gives = "user"
    """Updates of users, or events such as ``users.updated``, or both."""

    @property
    def shape(self) -> Shape:
        """Return the shape that reads messages of this table."""
        return Shape(
            "debezium",
            lambda record, place: read(record, place, self),
            "changes of a table: plain, in `{schema, payload}`, flattened; snapshots, deletions, tombstones",
            # With a schema, JsonConverter writes `null` as text for a flattened tombstone.
            parse=parse,
            is_doubtful=_is_doubtful,
            takes_any=True,
            tombstone=lambda place: _tombstone(place, self),
            peek=peek,
            committed=committed,
            side=_SIDES[self.gives],
        )

    def names(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Return the property names of the columns."""
        if not self.exclude and not self.rename:
            return tuple(columns)
        return tuple(self.rename.get(name, name) for name in columns if name not in self.exclude)

    def properties(self, row: Fields) -> Fields:
        """Return the columns of a row as properties."""
        if not self.exclude and not self.rename:
            return row
        kept = {name: value for name, value in row.items() if name not in self.exclude}
        renamed = {self.rename[name]: kept.pop(name) for name in self.rename if name in kept}
        return {**kept, **renamed}


@dataclass(slots=True, frozen=True)
class Change:
    """One change of one row."""

    op: str
    """c, u, d or r; "" where a flattened row does not say."""
    row: Fields
    """The row after the change, for a delete before it; without columns that were not read."""
    columns: Iterable[str]
    """All columns of the row, also those that were not read."""
    before: Fields | None
    """The row before the change, where Debezium knows it."""
    key: Fields | None
    """The columns of the message's key; a bare value is called ""."""
    at: int | None
    """When it was committed (ms)."""
    table: str
    source: Fields
    """Its position in the database's log."""


def _is_doubtful(record: Fields) -> bool:
    """Return whether the object has no mark of Debezium, and what a row has not: it may be of any shape."""
    if "op" in record or "payload" in record or any(name.startswith("__") for name in record):
        return False
    return (
        any(type(record.get(name)) is dict for name in _BAGS)
        or "specversion" in record
        or stranger(record) is not None
    )


def read(record: Json, place: Place, table: Table) -> list[Record]:
    """Return the records of one message; none where it is not a change of a row. Raises InvalidRecord."""
    value, schema = unwrap(record)
    if value is None:
        return _tombstone(place, table)
    if type(value) is not dict:
        raise InvalidRecord(f"the change is {kind_of(value)}, expected an object")
    change = _change(value, schema, place)
    return [] if change is None else _records(change, place, table)


def _change(value: Fields, schema: Schema | None, place: Place) -> Change | None:
    """Return the change in a message, None where there is none. Raises InvalidRecord."""
    op, source = value.get("op"), value.get("source")
    if type(op) is str and ("after" in value or type(source) is dict):
        if op == "m":
            return None
        return _from_envelope(value, op, source if type(source) is dict else {}, schema, place)
    told = value.keys() - _CLOCKS
    if (not told and value) or told == _TRANSACTION or ("ddl" in value and type(source) is dict):
        return None  # a heartbeat, a transaction boundary, a schema change
    if "before" in value and "after" in value and type(source) is dict:
        raise InvalidRecord("the change has no `op`")
    return _from_flattened(value, schema, place)


def _from_envelope(value: Fields, op: str, source: Fields, schema: Schema | None, place: Place) -> Change:
    table = source.get("table")
    name = table if type(table) is str and table else _table_of(place)
    if op == "t":
        raise InvalidRecord(
            f"TRUNCATE of `{name}`: it does not say which users are gone, and none was changed. Remove rows "
            "by DELETE; or stop the job and begin with a new state directory"
        )
    if op not in ("c", "u", "d", "r"):
        raise InvalidRecord(f"`op` is {op!r:.40}, expected one of c, u, d, r, t and m")
    after, before = _row(value, "after", schema), _row(value, "before", schema)
    key = keys.columns_of(place)
    if op == "d":
        row = {} if before is None else _known_of_deleted(before, key)
    elif after is not None:
        row = after
    else:
        raise InvalidRecord(f"the change has the `op` {op!r} and no row in `after`")
    at = _time(source, "ts_ms")
    raw = value.get("after")
    columns = raw.keys() if type(raw) is dict else ()
    return Change(op, row, columns, before, key, _time(value, "ts_ms") if at is None else at, name, source)


def _from_flattened(value: Fields, schema: Schema | None, place: Place) -> Change:
    row = {name: one for name, one in value.items() if not name.startswith("__")}
    if not row:
        raise InvalidRecord("the row has no columns")
    op, table = value.get("__op"), value.get("__table", value.get("__source_table"))
    if value.get("__deleted") in ("true", True):
        op = "d"
    source = {
        name: value[field]
        for names in _POSITIONS
        for name in names
        for field in (f"__{name}", f"__source_{name}")
        if field in value
    }
    at, key = _time(value, "__source_ts_ms"), keys.columns_of(place)
    columns, row = row.keys(), _without_unavailable(row, schema)
    return Change(
        op if type(op) is str else "",
        _known_of_deleted(row, key) if op == "d" else row,
        columns,
        None,
        key,
        _time(value, "__ts_ms") if at is None else at,
        table if type(table) is str and table else _table_of(place),
        source,
    )


def _known_of_deleted(row: Fields, key: Fields | None) -> Fields:
    """Return what is known of a deleted row: only its key, if the database logged no more.

    Debezium then writes null for the other columns, or 0, "" and the like where null is not allowed.
    """
    if key is None or not all(_is_empty(value) for name, value in row.items() if name not in key):
        return row
    return {name: row[name] for name in row if name in key}


def _is_empty(value: Json) -> bool:
    return not value or (type(value) is str and value.startswith(_EMPTY))


def _row(value: Fields, name: str, schema: Schema | None) -> Fields | None:
    row = value.get(name)
    if row is None:
        return None
    if type(row) is not dict:
        what = "; of MongoDB, flatten the documents (ExtractNewDocumentState)" if type(row) is str else ""
        raise InvalidRecord(f"`{name}` is {kind_of(row)}, expected an object with the columns{what}")
    return _without_unavailable(row, None if schema is None else schema.field(name))


def _without_unavailable(row: Fields, schema: Schema | None) -> Fields:
    known: Json = {name: one for name, one in row.items() if not is_unavailable(one)}
    if schema is not None:
        known = schema.converted(known)
    assert type(known) is dict
    return known


def _time(value: Fields, name: str) -> int | None:
    at = value.get(name)
    return at if type(at) is int and at > 0 else None


def _topic(place: Place) -> str:
    return topic_of(place.origin.source) or place.origin.source


def _table_of(place: Place) -> str:
    """Return the table from the topic's name: ``prefix.schema.table``."""
    return _topic(place).rpartition(".")[2] or "row"


def _records(change: Change, place: Place, table: Table) -> list[Record]:
    user_id = keys.user_id(table.key, change.row, change.key)
    records: list[Record] = []
    if table.gives != "event":
        if change.op == "d":
            records.append(keys.deletion(user_id, change.at, place))
        else:
            if table.key and change.before is not None and change.op == "u":
                before_id = keys.user_id(table.key, change.before, None)
                if before_id != user_id:
                    records.append(keys.deletion(before_id, change.at, place))
            at = place.received_at if change.at is None else change.at
            properties = table.properties(change.row)
            records.append(
                PropertyUpdate(
                    None, user_id, None, at, place.received_at, None, properties, {}, (), place.origin,
                    columns=(_topic(place), *table.names(change.columns)),
                )
            )  # fmt: skip
    if table.gives != "user" and change.op != "r":
        event = _event(change, user_id, place, table)
        # A webhook on the deletion can still read the user.
        records.insert(0 if change.op == "d" else len(records), event)
    return records


def _event(change: Change, user_id: str, place: Place, table: Table) -> Event:
    verb = VERBS.get(change.op)
    if verb is None:
        raise InvalidRecord(
            "the flattened row does not say whether it is new, so it is no event: set "
            "`transforms.unwrap.add.fields` to op,source.ts_ms,source.lsn"
        )
    row, before = change.row, change.before
    properties = table.properties(row)
    if before is not None and change.op == "u":
        properties = {**properties, "before": table.properties(before)}
    at = place.received_at if change.at is None else change.at
    return Event(
        _event_id(change, user_id), f"{change.table}.{verb}", "track", user_id, None, at, place.received_at,
        None, properties, {"source": change.source} if change.source else {}, place.origin,
    )  # fmt: skip


def _event_id(change: Change, user_id: str) -> str | None:
    """Return what identifies a change that Connect writes twice after a crash: its log position."""
    source = change.source
    for names in _POSITIONS:
        if all(source.get(name) is not None for name in names if name not in _BESIDE):
            where = "/".join(str(source.get(name, "")) for name in names)
            # One statement may write many rows at one position, and a changed key is two changes at one.
            return f"{change.table}:{where}:{change.op}:{user_id}"
    return None


def _tombstone(place: Place, table: Table) -> list[Record]:
    """Return the deletion for a message without a value; its event was the ``d`` before it."""
    if table.gives == "event":
        return []
    return [keys.forgotten(place, table.key)]


class _Source(msgspec.Struct):
    ts_ms: Any = None
    snapshot: Any = None


class _Marks(msgspec.Struct):
    op: Any = None
    ts_ms: Any = None
    source: _Source | None = None
    flat_op: Any = msgspec.field(name="__op", default=None)
    flat_source_ts_ms: Any = msgspec.field(name="__source_ts_ms", default=None)
    flat_snapshot: Any = msgspec.field(name="__source_snapshot", default=None)


class _Wrapped(_Marks):
    payload: _Marks | None = None


_PEEK = msgspec.json.Decoder(_Wrapped)


def committed(line: bytes) -> int | None:
    """Return when a change was committed (ms), None where unknown.

    0 for a snapshot's row: it was in the table before Debezium started. One of an incremental snapshot was
    read among the changes: it is of when it was read.
    """
    try:
        seen = _PEEK.decode(line)
    except NOT_SEEN:
        return None
    marks = seen if seen.payload is None else seen.payload
    source = marks.source
    snapshot = marks.flat_snapshot if source is None else source.snapshot
    if "r" in (marks.op, marks.flat_op) and snapshot != "incremental":
        return 0
    at = marks.flat_source_ts_ms if source is None else source.ts_ms
    return at if type(at) is int and at > 0 else None


def peek(line: bytes, place: Place) -> Seen:
    """Return when a change was committed, and that it is an update; a snapshot's row has no time."""
    at = committed(line)
    return (None if at == 0 else place.received_at if at is None else at), True


DEBEZIUM: Final = Table().shape
"""The row of the shape table: rows with a single-column key become users."""
