"""`hookline state rebuild` on the recording of one process; several partitions: test_identity_apart.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.outbox.reading.view import rows
from pipeline.receiver.server import Receiver
from pipeline.store.rows import Table
from tests.kit.programs.jobs import Job, ids
from tests.kit.programs.run import Bench, until
from tests.runtime.scale.shop import Undisturbed, lines, open_shop, sent

HALF = 1200


def users(bench: Bench) -> dict[bytes, Any]:
    return {key: json.loads(value) for _, key, value in rows(bench.state, Table.USERS)}


def aliases(bench: Bench) -> dict[bytes, bytes]:
    tables = (Table.ALIASES, Table.PROFILES)
    return {key: value for table in tables for _, key, value in rows(bench.state, table)}


@pytest.fixture
def bench(folder: Path, receiver: Receiver) -> Bench:
    """A shop of which half is behind the job."""
    bench = open_shop(folder, receiver, records=HALF)
    bench.run()
    return bench


def rebuild(bench: Bench, code: int = 0, path: str = "") -> Any:
    words = ["state", "rebuild", "--json"] if code == 0 else ["state", "rebuild"]
    settings = bench.config / "pipeline.yaml"
    settings.write_text(f"{bench.settings[:-1]}, source: {{jsonl: {{paths: [{path or bench.stream}]}}}}}}")
    return bench.hookline(*words, code=code)


@pytest.mark.parametrize("lost", ["shards/000 shards/004", "identity/recording", "shards identity"])
def test_what_is_rebuilt_equals_what_was_lost_and_later_events_join_it(
    bench: Bench, receiver: Receiver, undisturbed: Undisturbed, lost: str
):
    before = users(bench), aliases(bench)
    assert len(before[0]) > 50
    assert before[1]
    for name in lost.split():
        shutil.rmtree(bench.state / name)
    done = rebuild(bench)
    assert (done["records"], done["invalid"]) == (HALF, 0)
    assert (users(bench), aliases(bench)) == before

    receiver.requests.clear()
    with bench.stream.open("a") as file:
        for line in lines(2500)[HALF:]:
            file.write(json.dumps(line) + "\n")
    bench.run()
    # Limits are not in the source: a lost shard forgets them, and fires for its users once more.
    found = {one for one in sent(receiver.requests) if one[1] != "/limited"}
    assert found <= undisturbed.sent
    assert {one for one in found if one[1] == "/joined"} == {
        one for one in undisturbed.sent if one[1] == "/joined" and json.loads(one[2])["n"] >= HALF
    }


def test_a_job_does_not_start_without_a_store_and_says_how_to_get_it_back(bench: Bench):
    shutil.rmtree(bench.state / "shards" / "001")
    bench.append({"id": "more"})
    for _ in range(2):
        assert "`hookline state rebuild` makes it anew" in bench.refused(3)
    # The starts in vain have left an empty store there.
    assert rebuild(bench)["shards"] == [1]
    assert bench.run()["records"]["read"] == HALF + 1


def test_nothing_is_rebuilt_from_another_recording(bench: Bench):
    shutil.rmtree(bench.state / "shards" / "001")
    bench.stream.write_text("".join(json.dumps(line) + "\n" for line in lines(HALF - 1)))
    assert "ends before the position" in rebuild(bench, code=3)
    assert not (bench.state / "shards" / "001" / "data.mdb").exists(), "half a store would look like one"


def test_records_that_the_present_shapes_cannot_read_are_counted(bench: Bench):
    shutil.rmtree(bench.state / "shards")
    done = rebuild(bench, path=f"{{path: {bench.stream}, format: amplitude}}")
    assert 0 < done["invalid"] <= HALF


def test_without_a_recovery_store_there_is_nothing_to_go_by(bench: Bench):
    shutil.rmtree(bench.state / "recovery")
    assert "no recovery store" in rebuild(bench, code=3)


@pytest.mark.parametrize("is_deleted", [False, True])
def test_followed_files_are_read_as_far_as_they_are_left(
    tmp_path: Path, receiver: Receiver, is_deleted: bool
) -> None:
    source = "source: {jsonl: {paths: [../events.jsonl], follow: true}}"
    bench = Bench(
        tmp_path, f"{{network: {{allow: [127.0.0.0/8]}}, epoch: 200ms, {source}}}", is_collected=True
    )
    bench.webhook("w", receiver.url("/w"))

    def put(numbers: range, event: str) -> None:
        changes = [{"type": "user", "user_id": f"u{number}", "set": {"n": event}} for number in numbers]
        bench.append(*changes, {"type": "event", "name": "E", "user_id": "u", "id": event})

    with Job(bench) as job:
        put(range(5), "1")
        until(lambda: len(ids(receiver.requests)) == 1)
        old = bench.stream.rename(tmp_path / "events.jsonl.1")
        put(range(3, 8), "2")
        until(lambda: len(ids(receiver.requests)) == 2)
        job.stop()
    before = users(bench)
    assert len(before) == 8
    put(range(20, 21), "3")  # the job itself will read that
    if is_deleted:
        old.unlink()
    shutil.rmtree(bench.state / "shards")
    done = bench.hookline("state", "rebuild", "--json")
    assert done["gone"] == (["events.jsonl"] if is_deleted else [])
    kept = [b"u:u%d" % number for number in (range(3, 8) if is_deleted else range(8))]
    assert users(bench) == {key: before[key] for key in kept}


def test_what_has_come_to_a_folder_since_is_left_to_the_job(tmp_path: Path, receiver: Receiver) -> None:
    source = "source: {jsonl: {paths: [../days]}}"
    bench = Bench(tmp_path, f"{{network: {{allow: [127.0.0.0/8]}}, {source}}}", is_collected=True)
    bench.webhook("w", receiver.url("/w"), events="[Nothing]")
    (tmp_path / "days").mkdir()

    def put(day: str, name: str, time: str) -> None:
        change = {"type": "user", "user_id": name, "time": time, "set": {"day": day}}
        with (tmp_path / "days" / f"{day}.jsonl").open("a") as file:
            file.write(json.dumps(change) + "\n")

    put("monday", "a", "2026-11-23T12:00:00Z")
    put("tuesday", "b", "2026-11-24T12:00:00Z")
    bench.run()
    before = users(bench)
    shutil.rmtree(bench.state / "shards")
    put("monday", "c", "2026-11-23T13:00:00Z")
    put("late", "d", "2026-11-22T12:00:00Z")
    bench.hookline("state", "rebuild", "--json")
    assert users(bench) == before
    (tmp_path / "days" / "tuesday.jsonl").unlink()
    shutil.rmtree(bench.state / "shards")
    assert "had reached in tuesday.jsonl" in bench.hookline("state", "rebuild", code=3)
