"""Columns that a table has lost are lost to its users, once; what others have set is not."""

from __future__ import annotations

from typing import Any

from pipeline.join.users import Users
from pipeline.model.records import MISSING
from pipeline.store.memory import MemoryRows
from tests.kit.records import update


def written(users: Users, table: str, row: dict[str, Any], *unread: str) -> dict[str, Any]:
    """Apply a row of a table; return what changed."""
    change = update(user="u", set=row)
    change.columns = (table, *row, *unread)
    return users.apply("u:u", change, "kafka-0")


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
