"""A user's properties are the row: over what Debezium has really written, in each of its forms."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.decode.connect.debezium import Table, committed
from pipeline.decode.decode import decode
from pipeline.model.records import Event, Invalid, Origin, PropertyUpdate
from tests.decode.connect.captured import PLAIN, is_same, messages, profiles, read, rows

ORIGIN = Origin("plain.public.users/0", 0)
ENVELOPES = ("plain", "text", "schemas", "connect", "iso", "nano")
FLATTENED = ("flat", "flat_rewrite", "flat_both", "flat_bare")
LONG = {"data", "tags", "scores", "photo", "notes", "places", "more", "token", "attrs", "bio"}
"""Columns that may be kept elsewhere, and are lost where a row's key changes."""
DECIMALS = {"balance", "huge", "fine", "loose", "amounts"}
TIMES = {"created", "created_ms", "seen", "born", "wake", "wake_ms", "wake_zone", "days"}
OBJECTS = {"data", "doc", "notes", "attrs", "more"}


SHIFTED = {(3, "created"), (3, "born"), (3, "wake")}
"""Infinity, years BC and 24:00:00 as ISO texts: not what PostgreSQL says."""


def without_schema(connector: str) -> set[str]:
    """Columns that nothing tells the meaning of: they come as they are."""
    if connector in ("plain", "flat", "flat_both", "flat_bare"):
        return DECIMALS | TIMES | OBJECTS
    if connector == "text":
        return OBJECTS | {"born", "days"}
    # `connect` has milliseconds and floats.
    return {"attrs", "more"} | (DECIMALS | {"created", "wake"} if connector == "connect" else set())


@pytest.mark.parametrize("connector", [*ENVELOPES, *FLATTENED])
def test_profiles_are_the_table(connector: str) -> None:
    users = profiles(record for message in messages(connector) for record in read(message))
    assert users.keys() == {str(row["id"]) for row in rows("users")}
    for row in rows("users"):
        known = users[str(row["id"])]
        lost = row.keys() - known.keys()
        # The long columns of a row whose key has changed are not in the log (replica identity DEFAULT).
        assert not lost or (row["id"] == 40 and lost <= LONG), lost
        for name in known.keys() - without_schema(connector):
            if connector in ("text", "iso") and (row["id"], name) in SHIFTED:
                continue
            assert is_same(known[name], row[name]), (row["id"], name, known[name], row[name])
        assert known.keys() <= row.keys()
        assert "unavailable" not in str(known)


def by_table(connector: str, table: str, how: Table) -> list[Any]:
    return [record for message in messages(connector, table) for record in read(message, how)]


@pytest.mark.parametrize("connector", ["plain", "schemas"])
def test_a_key_of_two_columns_names_users_by_both(connector: str) -> None:
    users = profiles(by_table(connector, "members", Table(key=("tenant", "id"))))
    assert users == {f"{row['tenant']}:{row['id']}": row for row in rows("members")}
    # With REPLICA IDENTITY FULL a changed key loses no long column.
    assert users["umbrella:9"]["bio"] == "b" * 2500


def test_a_key_of_two_columns_must_be_told_apart() -> None:
    reasons = {record.reason for record in by_table("plain", "members", Table())}
    assert reasons == {
        "the message's key has the columns `tenant`, `id`: say by `key` which of them name the user"
    }


@pytest.mark.parametrize("connector", ["plain", "schemas"])
def test_a_user_named_by_another_column_is_never_another_one(connector: str) -> None:
    """Of a deleted row PostgreSQL logs the key alone, and Debezium writes 0 and "" for the others."""
    for column in ("owner", "seat"):
        records = by_table(connector, "accounts", Table(key=(column,)))
        updates, lost = records[:2], records[2:]
        (user_id,) = {update.user_id for update in updates}
        assert user_id in ("4", "11111111-1111-1111-1111-111111111111")
        assert all(type(record) is Invalid for record in lost), lost
        assert ["REPLICA IDENTITY FULL" in record.reason for record in lost] == [True, True, False]
        assert lost[2].reason.startswith("TRUNCATE of `accounts`")


def test_of_a_deleted_row_its_empty_columns_name_nobody() -> None:
    row = {"id": 7, "owner": 0, "note": "", "balance": "AA==", "born": "1970-01-01"}
    for value in (change(op="d", before=row, after=None), row | {"__deleted": "true"}):
        assert "in neither row nor key" in only(value, Table(key=("owner",))).reason
    assert only(row, Table(key=("owner",))).user_id == "0", "of a row that is there they are its values"
    assert only(row).set == row


def test_every_long_value_that_was_not_read_leaves_what_is_known() -> None:
    users = profiles(by_table("schemas", "wide", Table()))
    (row,) = rows("wide")
    assert users["1"]["plan"] == "pro"
    same = {name for name in row if is_same(users["1"][name], row[name])}
    # Debezium writes null for these, which may be true.
    assert row.keys() - same <= {"flags", "ratios", "stamps", "zoned", "loose", "moods", "amounts", "span"}


def test_columns_that_come_and_go() -> None:
    users = profiles(by_table("plain", "altered", Table()))
    first, second = sorted(rows("altered"), key=lambda row: row["id"])
    assert users["1"] == first, "without the columns that were renamed and dropped"
    # A new column's default is in no message until the row is written.
    assert users["2"] == {"id": 2, "mail": "two", "plan": "free"}
    assert second["score"] == 5


@pytest.mark.parametrize("topic", ["message", "transaction", "heartbeat.plain"])
@pytest.mark.parametrize("connector", ["plain", "schemas"])
def test_what_is_no_change_of_a_row_gives_nothing(connector: str, topic: str) -> None:
    found = messages(connector, topic)
    assert found or (connector, topic) != ("plain", topic)
    assert [read(message) for message in found] == [[]] * len(found)


def change(**fields: Any) -> dict[str, Any]:
    source = {"table": "users", "ts_ms": 1_795_898_010_000, "lsn": 7, "connector": "postgresql"}
    return {"before": None, "after": {"id": 7, "plan": "pro"}, "source": source, "op": "u"} | fields


def told(value: Any, table: Table = PLAIN, key: Any = b'{"id":7}') -> list[Any]:
    raw = value if value is None or type(value) is bytes else orjson.dumps(value)
    return decode(raw, format=table.shape, origin=ORIGIN, received_at=1_795_898_011_000, key=key)


def only(value: Any, table: Table = PLAIN, key: Any = b'{"id":7}') -> Any:
    (record,) = told(value, table, key)
    return record


def test_it_happened_when_it_was_committed() -> None:
    update = only(change())
    assert (update.time, update.received_at) == (1_795_898_010_000, 1_795_898_011_000)
    assert only({"id": 7, "__source_ts_ms": 1_795_898_010_000}).time == 1_795_898_010_000
    assert only({"id": 7}).time == 1_795_898_011_000
    gone = only(change(op="d", after=None))
    assert (gone.user_id, gone.delete, gone.time) == ("7", True, 1_795_898_010_000)
    assert only(None).time == 1_795_898_011_000


def test_columns_are_excluded_and_renamed_but_still_name_the_user() -> None:
    table = Table(exclude=frozenset({"id", "password_hash"}), rename={"mail": "email", "absent": "x"})
    row = {"id": 7, "mail": "a@b", "email": "old", "password_hash": "secret", "plan": None}
    update = only(change(after=row), table)
    assert (update.user_id, update.set) == ("7", {"email": "a@b", "plan": None})


DECIMAL_KEY = orjson.dumps(
    {
        "schema": {
            "type": "struct",
            "fields": [
                {
                    "field": "id",
                    "type": "bytes",
                    "name": "org.apache.kafka.connect.data.Decimal",
                    "parameters": {"scale": "0"},
                }
            ],
        },
        "payload": {"id": "Bw=="},
    }
)


@pytest.mark.parametrize(
    ("key", "user_id"),
    [
        (b'{"id":7}', "7"),
        (b'{"schema":{"type":"struct"},"payload":{"id":7}}', "7"),
        (b'{"schema":null,"payload":7}', "7"),
        (DECIMAL_KEY, "7"),
        # ExtractField$Key leaves the column's value: then keys are those of the events.
        (b"7", "7"),
        (b'"u-7"', "u-7"),
        (b"u-7", "u-7"),
    ],
)
def test_a_tombstone_forgets_the_user_whom_its_key_names(key: bytes, user_id: str) -> None:
    for value in (None, b"null", {"schema": None, "payload": None}):
        for table in (Table(), Table(key=("id",))):
            gone = only(value, table, key)
            assert (gone.user_id, gone.delete) == (user_id, True)


def test_a_user_whose_id_column_changes_is_another_user() -> None:
    table = Table(key=("owner",))
    records = told(change(before={"id": 7, "owner": "ann"}, after={"id": 7, "owner": "bob"}), table)
    assert [(record.user_id, record.delete) for record in records] == [("ann", True), ("bob", False)]


@pytest.mark.parametrize("id", ["12e5", "1.50", "007", "-0", "true", "12345678901234567890123", "7"])
def test_an_id_that_stands_alone_in_the_key_is_what_is_written_there(id: str) -> None:
    for value in (change(after={"plan": "pro"}), change(op="d", after=None), None):
        assert only(value, Table(), id.encode()).user_id == id
    row = {"id": 7, "type": "user", "name": "N", "user_id": 9}
    assert only(row, Table(), id.encode()).set == row, "a table's columns may have any names"
    row = {"type": "event", "name": "N", "user_id": 9, "data": {"a": 1}}
    assert only(row | {"__table": "t"}, Table(), id.encode()).set == row


def test_events_of_a_table() -> None:
    table = Table(gives="event", exclude=frozenset({"password_hash"}))
    before = {"id": 7, "plan": "free", "password_hash": "x"}
    event = only(change(before=before), table)
    assert type(event) is Event
    assert (event.name, event.user_id, event.time) == ("users.updated", "7", 1_795_898_010_000)
    assert event.properties == {"id": 7, "plan": "pro", "before": {"id": 7, "plan": "free"}}
    assert only(change(), table).properties == {"id": 7, "plan": "pro"}, "the old row is not known"
    assert only(change(op="c"), table).name == "users.created"
    gone = only(change(op="d", before=before, after=None), table)
    assert (gone.name, gone.properties) == ("users.deleted", {"id": 7, "plan": "free"})
    assert told(change(op="r"), table) == told(None, table) == []
    # What Connect writes twice after a crash is one event; a changed key is two changes at one place.
    ids = {only(change(op=op, before=before), table).id for op in ("c", "u", "d")}
    assert len(ids) == 3
    assert only(change(before=before), table).id in ids
    place = {"table": "users", "file": "binlog.000003", "pos": 805, "row": 1}
    assert only(change(source={"table": "people"}), table).name == "people.updated"
    assert only(change(source=place), table).id == "users:binlog.000003/805/1:u:7", "of MySQL"
    place = {"table": "users", "commit_lsn": "27:758:5", "change_lsn": "27:758:3", "event_serial_no": 2}
    assert only(change(source=place), table).id == "users:27:758:5/27:758:3/2:u:7", "of SQL Server"
    place = {"table": "USERS", "scn": "2868546", "rs_id": "001234.00012345.0124", "ssn": 0}
    assert only(change(source=place), table).id == "USERS:2868546/001234.00012345.0124/0:u:7", "of Oracle"
    assert only(change(source={**place, "rs_id": None}), table).id is None, (
        "an SCN may be that of many changes"
    )
    assert only(change(source={"table": "users"}), table).id is None


def test_events_of_flattened_rows_need_to_know_what_has_happened() -> None:
    table = Table(gives="event")
    row = {"id": 7, "plan": "pro", "__op": "u", "__table": "people", "__source_lsn": 8}
    event = only(row, table)
    assert (event.name, event.id, event.properties) == (
        "people.updated",
        "people:8:u:7",
        {"id": 7, "plan": "pro"},
    )
    assert "transforms.unwrap.add.fields" in only({"id": 7, "plan": "pro"}, table).reason
    assert only({"id": 7, "__deleted": "true"}, table).name == "users.deleted", "by the topic"


def test_users_and_events_of_a_table() -> None:
    table = Table(gives="both")
    kinds = {op: [type(record) for record in told(change(op=op, before={"id": 7}), table)] for op in "curd"}
    changed = [PropertyUpdate, Event]
    # The event of a deletion is seen by the user who is still known.
    assert kinds == {"c": changed, "u": changed, "r": [PropertyUpdate], "d": [Event, PropertyUpdate]}


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (change(op="t", after=None), None, "TRUNCATE of `users`"),
        (change(op="x"), b'{"id":7}', "`op` is 'x'"),
        (change(op="u", after=None), b'{"id":7}', "no row in `after`"),
        (change(after='{"_id": 1}'), b'{"id":7}', "MongoDB"),
        (change(), None, "the message has no key"),
        (change(), b'{"tenant":1,"id":7}', "the columns `tenant`, `id`"),
        (change(), b"Struct{id=7}", "org.apache.kafka.connect.json.JsonConverter"),
        (change(), b"\xff", "neither JSON nor text"),
        (change(), b"\x00\x00\x00\x00\x07\x0e", "say by `key` which column"),
        (change(), b'{"id":', "unexpected end"),
        (None, b"\x00\x00\x00\x00\x07\x0e", "framed for a schema registry"),
        (change(after={"id": [1]}), b'{"id":[1]}', "`id` is an array"),
        (None, b"", "a tombstone without a key"),
        ([change()], b'{"id":7}', "the change is an array"),
        (b"7", b'{"id":7}', "the change is a number"),
        ({"schema": 7, "payload": change()}, b'{"id":7}', "`schema` is a number"),
        ({"__op": "u"}, b'{"id":7}', "no columns"),
        (change(), b"null", "the message has no key"),
        ({"event_type": "x", "user_id": 7, "event_properties": {}}, b'{"id":7}', "Amplitude"),
        ({"type": "event", "name": "X", "user_id": "7", "properties": {}}, b"7", "of the shape `native`"),
        ({"type": "user", "user_id": "7", "set": {"plan": "pro"}}, b"7", "of the shape `native`"),
        ({"type": "page", "userId": "7", "context": {}}, b"7", "of the shape `segment`"),
        ({"event": "X", "distinct_id": "7", "properties": {}}, b"7", "of the shape `posthog`"),
        (
            {"specversion": "1.0", "type": "X", "id": "1", "data": change()},
            b"7",
            "of the shape `cloudevents`",
        ),
        ({"before": None, "after": None, "source": {}}, b'{"id":7}', "the change has no `op`"),
    ],
)
def test_what_cannot_be_read_is_told(value: Any, key: bytes | None, reason: str) -> None:
    assert reason in only(value, Table(), key).reason


def test_a_column_that_neither_row_nor_key_holds_names_nobody() -> None:
    for names, key in ((("owner",), None), (("owner",), b'{"id":7}'), (("id", "owner"), b"7")):
        assert "in neither row nor key" in only(change(), Table(key=names), key).reason


def test_when_a_change_was_committed_orders_the_topics() -> None:
    assert committed(orjson.dumps(change())) == 1_795_898_010_000
    assert committed(orjson.dumps({"schema": {}, "payload": change()})) == 1_795_898_010_000
    assert committed(orjson.dumps(change(op="r"))) == 0, "a snapshot's row was there before"
    assert committed(orjson.dumps({"id": 7, "__op": "r", "__source_ts_ms": 5})) == 0
    assert committed(orjson.dumps({"id": 7, "__op": "u", "__source_ts_ms": 5})) == 5
    asked = change(op="r", source={"table": "users", "ts_ms": 5, "snapshot": "incremental"})
    assert committed(orjson.dumps(asked)) == 5, "it is read among the changes, and as new as they are"
    assert committed(orjson.dumps({**asked, "source": {"ts_ms": 0, "snapshot": "incremental"}})) is None
    flat = {"id": 7, "__op": "r", "__source_ts_ms": 5, "__source_snapshot": "incremental"}
    assert committed(orjson.dumps(flat)) == 5
    assert committed(orjson.dumps({**flat, "__source_snapshot": "true"})) == 0
    for nothing in (b"{}", b"\x00avro", b"[]", b'{"source":{"ts_ms":"x"}}', b'{"source":7}'):
        assert committed(nothing) is None
