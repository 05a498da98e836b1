"""A user's properties are the row: over what Debezium has really written, in each of its forms."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.decode.connect.debezium import Table
from pipeline.model.records import Invalid
from tests.decode.connect.captured import is_same, messages, profiles, read, rows

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
    assert users["1"].items() >= first.items()
    # A new column's default is in no message until the row is written.
    assert users["2"] == {"id": 2, "mail": "two", "plan": "free"}
    assert second["score"] == 5


@pytest.mark.parametrize("topic", ["message", "transaction", "heartbeat.plain"])
@pytest.mark.parametrize("connector", ["plain", "schemas"])
def test_what_is_no_change_of_a_row_gives_nothing(connector: str, topic: str) -> None:
    found = messages(connector, topic)
    assert found or (connector, topic) != ("plain", topic)
    assert [read(message) for message in found] == [[]] * len(found)
