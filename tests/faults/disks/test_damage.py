"""A bit of a row has flipped: the job ends with exit 3 and says what to do; nothing wrong is ever sent."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from pipeline.receiver.server import Receiver
from pipeline.store.rows import Table
from tests.kit.programs.run import Bench, ran

SETTINGS = "{network: {allow: [127.0.0.0/8]}, epoch: 200ms, shards: 1}"
BODY = "  body: {plan: '{{ user.properties.plan }}', secret: '{{ event.properties.secret }}'}\n"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver({"/owed": [503], "/refused": [400], "*": [200]}) as receiver:
        yield receiver


@pytest.fixture
def bench(tmp_path: Path, receiver: Receiver) -> Bench:
    """A state directory with users, rows that are owed, dead letters, caps."""
    bench = Bench(tmp_path, SETTINGS)
    patient = "delivery: {retry: {min_delay: 1h, max_delay: 2h}}\n"
    bench.webhook("owed", receiver.url("/owed"), BODY + patient, events="[Kept]")
    bench.webhook("refused", receiver.url("/refused"), BODY, events="[Kept]")
    bench.webhook("joined", receiver.url("/joined"), BODY + "limit: {per: user, count: 1, every: 1h}\n")
    bench.update("u1", plan="the-plan-of-u1")
    bench.append({"id": "1", "name": "Kept", "properties": {"secret": "what-only-they-may-see"}})
    bench.run()
    return bench


def damage(bench: Bench, table: Table, within: bytes) -> Path:
    """Flip a bit of a row of the shard's store, as a disk would."""
    folder = bench.state / "shards" / "000"
    with lmdb.open(str(folder), max_dbs=16, readonly=True, lock=False) as env, env.begin() as txn:
        rows = list(txn.cursor(env.open_db(table.name.lower().encode(), txn, create=False)))
    row = next(key + stored for key, stored in rows if within in key + stored)
    data = bytearray((folder / "data.mdb").read_bytes())
    assert row in data
    while (found := data.find(row)) >= 0:
        data[found + row.index(within)] ^= 4
    (folder / "data.mdb").write_bytes(data)
    return folder


def run(bench: Bench) -> subprocess.CompletedProcess[str]:
    return ran(*bench.command("--json"))


@pytest.mark.parametrize(
    ("table", "within"),
    [
        (Table.USERS, b"the-plan-of-u1"),
        (Table.USERS, b"u:u1"),
        (Table.USERS, b"\xc1"),
        (Table.OUTBOX, b"what-only-they-may-see"),
        (Table.OUTBOX, b"owed\0"),
        (Table.OUTBOX, b"\xc1"),
        (Table.COUNTERS, b"owed/pending"),
        (Table.CAPS, b"\xc1"),
    ],
)
def test_a_damaged_row_ends_the_job(bench: Bench, receiver: Receiver, table: Table, within: bytes) -> None:
    folder = damage(bench, table, within)
    receiver.answer({"*": [200]})
    receiver.requests.clear()
    bench.append({"id": "2", "name": "E", "properties": {"secret": "x"}})
    done = run(bench)
    assert done.returncode == 3, done.stderr
    assert f"{folder}: a row of table `{table.name.lower()}` is damaged" in done.stderr
    assert "`hookline state check`" in done.stderr
    assert "`hookline state rebuild`" in done.stderr
    assert "Traceback" not in done.stderr
    whole = {"plan": "the-plan-of-u1", "secret": "what-only-they-may-see"}
    assert all(json.loads(request.body) in (whole, whole | {"secret": "x"}) for request in receiver.requests)
    assert f"table {table.name.lower()}" in bench.hookline("state", "check", code=3)


def test_a_damaged_dead_letter_is_not_shown_or_replayed(bench: Bench) -> None:
    damage(bench, Table.DEAD, b"what-only-they-may-see")
    for words in (("dlq", "list"), ("dlq", "replay", "--all"), ("dlq", "export")):
        said = bench.hookline(*words, code=3)
        assert "a row of table `dead` is damaged" in said
        assert "what-only-they" not in said


def test_a_store_that_was_removed_for_its_damage_is_rebuilt(bench: Bench, receiver: Receiver) -> None:
    folder = damage(bench, Table.USERS, b"u:u1")
    shutil.rmtree(folder)
    settings = bench.config / "pipeline.yaml"
    settings.write_text(f"{SETTINGS[:-1]}, source: {{jsonl: {{paths: [{bench.stream}]}}}}}}")
    bench.hookline("state", "rebuild")
    receiver.requests.clear()
    bench.append({"id": "3", "properties": {"secret": "y"}})
    assert run(bench).returncode == 0
    sent = [json.loads(request.body) for request in receiver.requests]
    assert sent == [{"plan": "the-plan-of-u1", "secret": "y"}]
