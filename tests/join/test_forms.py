"""Columns that a table has lost are lost to its users, once; what others have set is not."""

from __future__ import annotations

from typing import Any

from pipeline.join.forms import MOST_BYTES, ROW
from pipeline.join.users import Users
from pipeline.model.records import MISSING, PropertyUpdate
from pipeline.store.memory import MemoryRows
from pipeline.store.rows import Table
from tests.kit.streams.records import update


def written(users: Users, table: str, row: dict[str, Any], *unread: str) -> dict[str, Any]:
    """Apply a row of a table; return what changed."""
    return users.apply("u:u", changed(table, row, *unread), "kafka-0")


def changed(table: str, row: dict[str, Any], *unread: str) -> PropertyUpdate:
    """Return the update of a row of a table."""
    change = update(user="u", set=row)
    change.columns = (table, *row, *unread)
    return change


def test_a_column_that_is_gone_is_unset_with_the_next_row() -> None:
    rows = MemoryRows()
    users = Users(rows)
    written(users, "users", {"id": 1, "plan": "pro", "mail": "a"}, "bio")
    written(users, "seats", {"seat": 4})
    users.apply("u:u", update(user="u", set={"own": 1, "bio": "long"}), "kafka-0")
    users.flush()
    # A job that begins again knows it too.
    users = Users(rows)
    assert written(users, "users", {"id": 1, "email": "a"}, "bio") == {
        "plan": "pro",
        "mail": "a",
        "email": MISSING,
    }
    assert users.get("u:u") == {"id": 1, "email": "a", "bio": "long", "own": 1, "seat": 4}
    # From now on the name is free: what others set by it stays.
    users.apply("u:u", update(user="u", set={"plan": "free"}), "kafka-0")
    assert written(users, "users", {"id": 1, "email": "b"}, "bio") == {"email": "a"}
    assert users.get("u:u")["plan"] == "free"


def test_a_form_is_known_although_no_property_changes_with_it() -> None:
    rows = MemoryRows()
    users = Users(rows)
    users.apply("u:u", update(user="u", set={"plan": "pro"}), "kafka-0")
    assert written(users, "users", {"plan": "pro"}) == {}
    users.flush()
    assert written(Users(rows), "users", {"id": 1}) == {"plan": "pro", "id": MISSING}


def test_a_user_that_was_deleted_begins_anew() -> None:
    users = Users(MemoryRows())
    written(users, "users", {"id": 1, "plan": "pro"})
    users.apply("u:u", update(user="u", delete=True), "kafka-0")
    users.apply("u:u", update(user="u", set={"plan": "own"}), "kafka-0")
    written(users, "users", {"id": 1})
    assert users.get("u:u") == {"plan": "own", "id": 1}


def test_rows_that_never_have_the_same_columns_are_remembered_no_longer_than_they_may() -> None:
    rows = MemoryRows()
    users = Users(rows)
    written(users, "seats", {"seat": 1, "old": 2})
    for number in range(4):
        written(users, "users", {"id": 1, "plan": "pro"}, "x" * 400_000 + str(number))
    users.flush()
    kept = rows.get(Table.USERS, ROW)
    assert kept is not None
    assert len(kept) < MOST_BYTES
    for again in (users, Users(rows)):
        # What is beyond it loses no column by that; what was known before goes on as before.
        assert "plan" not in written(again, "users", {"id": 2}, "y" * 400_000)
        assert again.without_form
    assert "old" in written(users, "seats", {"seat": 1})
