"""What is kept in memory is bounded by the bytes that it really takes there."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import orjson
import pytest

from pipeline.join.links import Identity
from pipeline.join.users import Users
from pipeline.language import work
from pipeline.model.errors import RenderError
from pipeline.model.json import Json
from pipeline.model.records import IdentityLink, Invalid, Origin
from pipeline.model.sizes import Sizes
from pipeline.store.memory import MemoryRows
from pipeline.store.rows import Table
from tests.hostile.bombs.templates import of_directives
from tests.kit.machine.garbage import left_by
from tests.kit.streams.records import event, update

KB, MB = 1 << 10, 1 << 20
LARGE = Sizes(user_properties=1_000_000, user_bytes=8 * MB)

USERS: dict[str, dict[str, Json]] = {
    "numbers": {f"k{n:05}": n * 1_000 for n in range(180)},
    "short texts": {f"k{n:05}": f"v{n}" for n in range(150)},
    "one long text": {"text": "x" * 2_500},
    "texts of wide letters": {f"k{n}": "x" * 110 + "\N{GRINNING FACE}" for n in range(20)},
    "empty lists": {"list": [[] for _ in range(830)]},
    "empty maps": {"list": [{} for _ in range(830)]},
    "lists in lists": {"list": [[[n]] for n in range(1_000, 1_300)]},
    "maps in lists": {"list": [{"a": n} for n in range(1_000, 1_225)]},
}
"""Each some 2.5 KB of JSON, and up to twenty times as much in memory."""


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def taken(rows: MemoryRows) -> int:
    """Return the bytes of memory in use, but for the rows, which are on disk in a job."""
    return tracemalloc.get_traced_memory()[0] - sum(len(row) for _, row in rows.items(Table.USERS))


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("properties", USERS.values(), ids=USERS)
def test_users_take_no_more_memory_than_the_cache_may_hold(properties: dict[str, Json]) -> None:
    rows, most = MemoryRows(), 120 * KB
    said = orjson.dumps(properties)
    assert 2_000 < len(said) < 4_000
    users = Users(rows, sizes=LARGE, cache_bytes=most)
    before = taken(rows)
    for number in range(100):
        users.apply(f"u:{number}", update(user=f"{number}", set=orjson.loads(said)), "p")
        users.flush()
    assert taken(rows) - before < 2 * most * 1.2
    users = Users(rows, sizes=LARGE, cache_bytes=most)
    before = taken(rows)
    for number in range(60):
        assert users.get(f"u:{number}") == properties
    assert taken(rows) - before < 2 * most * 1.2


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("properties", USERS.values(), ids=USERS)
def test_what_one_epoch_changes_is_written_before_it_takes_much(
    properties: dict[str, Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.join.users.CHANGED_BYTES", 200 * KB)
    rows, said = MemoryRows(), orjson.dumps(properties)
    users = Users(rows, sizes=LARGE, cache_bytes=25 * KB)
    before = taken(rows)
    for number in range(100):
        users.apply(f"u:{number}", update(user=f"{number}", set=orjson.loads(said)), "p")
    assert taken(rows) - before < 500 * KB
    users.flush()
    assert len(list(rows.items(Table.USERS))) == 100
    assert users.get("u:0") == properties


def test_users_of_usual_size_all_stay() -> None:
    rows = MemoryRows()
    users = Users(rows)
    for number in range(6_000):
        users.apply(
            f"u:{number}", update(set={"plan": "pro", "email": f"u{number}@e.example", "n": number}), "p"
        )
    users.flush()
    known = [users.get(f"u:{number}") for number in range(6_000)]
    assert all(users.get(f"u:{number}") is known[number] for number in range(6_000))


# --- links


def alias(previous: str, user: str, offset: int = 0) -> IdentityLink:
    return IdentityLink(previous, user, None, Origin("r", offset), alias=True)


def merging(rows: MemoryRows, most: int) -> Identity:
    return Identity(rows, sizes=Sizes(merged=most))


def test_beyond_max_merged_an_alias_is_a_dead_letter_and_a_link_of_the_anonymous_id() -> None:
    rows = MemoryRows()
    identity = merging(rows, 2)
    for number in range(2):
        assert list(identity.link(alias(f"old-{number}", "u", number))) == []
    ((key, dead),) = identity.link(alias("old-2", "u", 2))
    assert isinstance(dead, Invalid)
    assert (key, dead.origin) == (str(Origin("r", 2)), Origin("r", 2))
    assert "`join.max_merged`" in dead.reason
    assert orjson.loads(dead.raw) == {
        "type": "identify", "user_id": "u", "anonymous_id": "old-2", "time": None,
    }  # fmt: skip
    assert identity.refused == 1
    assert identity.own(event("e", user_id="old-1")) == "u:u"
    assert identity.own(event("e", user_id="old-2")) == "u:old-2"
    assert identity.own(event("e", user_id=None, anonymous_id="old-2")) == "u:u"


@pytest.mark.parametrize("restart_each", [1, 2, 100])
def test_what_is_refused_depends_on_the_stream_alone(restart_each: int) -> None:
    calls = [alias(f"old-{n % 7}" + "x" * (300 * (n % 3)), f"u{n % 4}", n) for n in range(40)]
    rows, refused = MemoryRows(), []
    identity = merging(rows, 8)
    for number, call in enumerate(calls):
        if number % restart_each == 0:
            identity = merging(rows, 8)
        refused += [number for _, found in identity.link(call) if isinstance(found, Invalid)]
    assert refused
    once = merging(MemoryRows(), 8)
    assert refused == [
        number
        for number, call in enumerate(calls)
        for _, found in once.link(call)
        if isinstance(found, Invalid)
    ]


def test_long_ids_count_for_the_memory_they_take() -> None:
    identity = merging(MemoryRows(), 20)
    made = [list(identity.link(alias("a" * 1_000 + str(n), "u" * 1_000, n))) for n in range(10)]
    assert [bool(each) for each in made] == [False] * 5 + [True] * 5


class Counting(MemoryRows):
    asked = 0

    def get(self, table: Table, key: bytes) -> bytes | None:
        self.asked += 1
        return super().get(table, key)


def test_an_event_of_a_user_who_is_not_merged_asks_no_store() -> None:
    rows = Counting()
    identity = merging(rows, 1_000)
    for number in range(1_000):
        list(identity.link(alias(f"old-{number}", "u", number)))
    rows.asked = 0
    for number in range(100):
        identity.own(event("e", user_id=f"another-{number}"))
        identity.own(event("e", user_id=f"old-{number}"))
    assert rows.asked == 0


@pytest.mark.usefixtures("traced")
def test_long_ids_are_forgotten_before_they_take_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.join.links.CACHE_BYTES", 400 * KB)
    identity = Identity(MemoryRows())
    before = tracemalloc.get_traced_memory()[0]
    for number in range(3_000):
        identity.own(event("e", user_id=None, anonymous_id=f"{number}" + "x" * 1_024))
    assert tracemalloc.get_traced_memory()[0] - before < 1_000 * KB


def test_an_event_that_is_too_expensive_leaves_nothing_to_the_garbage_collector() -> None:
    """It may come after thousands of events of a megabyte each."""
    runs = [run for bomb in of_directives() if (run := bomb.make()) is not None]

    def render_all() -> None:
        expensive = 0
        for run in runs[:40]:
            work.begin(None, None)
            try:
                run()
            except RenderError as error:
                expensive += isinstance(error, work.TooExpensive)
        assert expensive > 5

    assert left_by(render_all) == 0
