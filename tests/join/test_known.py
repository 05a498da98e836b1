"""What a job knows of its users lies beneath the rows of a run of its own, and nothing is written there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.job.steps.keys import shard_of
from pipeline.join.known import Known
from pipeline.join.links import Identity
from pipeline.join.users import Users
from pipeline.model.errors import NoState
from pipeline.model.records import PropertyUpdate
from pipeline.store.folders import identity_folder, shard_folder
from pipeline.store.memory import MemoryRows
from pipeline.store.rows import Rows, Table
from pipeline.store.store import Store
from tests.kit.streams.records import event, link, update

LONG = "ü" * 600


def of_table(row: PropertyUpdate) -> PropertyUpdate:
    row.columns = ("t", *row.set)
    return row


def write(state: Path, shards: int) -> None:
    """Make the stores of a job: three users, links and profiles of two partitions, a pair of joined ids."""
    stores = [Store(shard_folder(state, number)) for number in range(shards)]
    for name in ("ann", "bob", LONG):
        users = Users(stores[shard_of(f"u:{name}", shards)])
        row = of_table(update(user=name, set={"plan": "pro", "of": name}))
        users.apply(f"u:{name}", row, "kafka-0")
        users.flush()
    for partition, names in (("kafka-0", ("a1", "x")), ("kafka-1", ("a2", "y"))):
        store = Store(identity_folder(state, partition))
        identity = Identity(store)
        list(identity.resolve(link(names[0], "ann")))
        list(identity.resolve(update(anonymous="later", set={names[1]: 1})))
        if names[0] == "a2":
            list(identity.resolve(link("old", "bob", alias=True)))
        stores.append(store)
    for store in stores:
        store.commit()
        store.close()


@pytest.fixture(params=[1, 3])
def known(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Known]:
    write(tmp_path, request.param)
    with closing(Known(tmp_path)) as known:
        yield known


@pytest.fixture(params=["memory", "store"])
def rows(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rows]:
    if request.param == "memory":
        yield MemoryRows()
        return
    with closing(Store(tmp_path / "own")) as store:
        yield store


def test_users_are_what_the_job_knows_whatever_its_number_of_shards(known: Known, rows: Rows):
    users = Users(known.under(rows))
    assert users.get(f"u:{LONG}") == {"plan": "pro", "of": LONG}
    assert users.get("u:nobody") == {}
    assert rows.get(Table.USERS, b"u:ann") is None, "only what changes is written"


def test_updates_of_the_run_lie_on_top_and_what_they_delete_stays_deleted(known: Known, rows: Rows):
    users = Users(known.under(rows))
    assert users.apply("u:ann", update(user="ann", set={"plan": "free"}), "recording") == {"plan": "pro"}
    row = of_table(update(user="bob", set={"plan": "free"}))
    assert users.apply("u:bob", row, "recording") == {"plan": "pro"}, "forms are numbered per shard"
    users.apply(f"u:{LONG}", update(user=LONG, delete=True), "recording")
    users.flush()
    again = Users(known.under(rows))
    assert again.get("u:ann") == {"plan": "free", "of": "ann"}
    assert again.get("u:bob") == {"plan": "free", "of": "bob"}
    assert again.get(f"u:{LONG}") == {}
    assert users.misrouted == 0
    assert Users(rows).get(f"u:{LONG}") == {}, "the rows are good without the other job, too"


def test_links_and_joined_ids_of_every_partition_are_known(known: Known, rows: Rows):
    identity = Identity(known.under(rows))
    keys = [identity.own(event(user_id=None, anonymous_id=name)) for name in ("a1", "a2", "a3")]
    assert keys == ["u:ann", "u:ann", "a:a3"]
    assert identity.own(event(user_id="old")) == "u:bob"
    list(identity.resolve(link("bob", "ann", alias=True)))
    assert identity.own(event(user_id="old")) == "u:ann"
    assert Identity(known.under(rows)).own(event(user_id="old")) == "u:ann"


def test_a_link_of_the_run_brings_the_profile_that_the_job_has_kept_once(known: Known, rows: Rows):
    brought = [record for _, record in Identity(known.under(rows)).resolve(link("later", "ann"))]
    assert brought[0].set_once == {"x": 1, "y": 1}  # type: ignore[union-attr]  # it is an update
    identity = Identity(known.under(rows))
    assert known.under(rows).get(Table.PROFILES, b"later") is None
    assert identity.own(event(user_id=None, anonymous_id="later")) == "u:ann"


def test_what_the_job_commits_meanwhile_is_seen_however_much_its_file_grows(tmp_path: Path):
    write(tmp_path, 1)
    grow = (
        "import sys; from pathlib import Path; from pipeline.store.store import Store; "
        "from pipeline.store.rows import Table; store = Store(Path(sys.argv[1])); "
        "[store.put(Table.CAPS, b'%d' % n, bytes(1 << 20)) for n in range(12)]; "
        "store.put(Table.USERS, b'u:new', b'[null,{\"n\":1}]'); store.commit()"
    )
    with closing(Known(tmp_path)) as known:
        assert known.get(Table.USERS, b"u:new") is None
        subprocess.run([sys.executable, "-c", grow, shard_folder(tmp_path, 0)], check=True)
        assert known.get(Table.USERS, b"u:new") == b'[null,{"n":1}]'


def test_a_folder_without_state_is_refused(tmp_path: Path):
    with pytest.raises(NoState, match="holds no state"):
        Known(tmp_path)
