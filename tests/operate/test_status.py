"""The lanes of a job of several processes, as one."""

from __future__ import annotations

import shutil
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from pipeline.deliver.stats import ADDED, LaneStats
from pipeline.operate.running.processes import together
from pipeline.operate.running.waiting import Waiting, waiting
from pipeline.receiver.server import Receiver
from pipeline.runtime.state import missing, recovery
from pipeline.store.folders import configured_file
from tests.kit.programs.run import Bench, finished


def lane(**changes: object) -> dict[str, object]:
    stats = LaneStats("w", "active", "well", 1.0, 1, 2, 3, 4, 5, 6, 7, 8, 1.5, 2.5, 0, "")
    return {**asdict(stats), **changes}


def test_counts_of_all_processes_add_up():
    found = together([lane(), lane(queued=10)])
    counts = ("queued", "in_flight", "waiting", "on_disk", "limit", "delivered", "retried", "dead")
    assert [found[name] for name in counts] == [11, 4, 6, 8, 10, 12, 14, 16]
    assert list(found) == [one.name for one in fields(LaneStats)]


def test_the_process_that_has_something_to_say_says_it():
    troubled = lane(receiver="down", status=503, error="busy", p99_ms=40.0)
    for lanes in ([lane(), troubled], [troubled, lane(p99_ms=0.0)]):
        found = together(lanes)
        assert (found["receiver"], found["status"], found["error"]) == ("down", 503, "busy")
        assert found["p99_ms"] == 40.0
    assert together([lane()]) == lane()


def test_every_number_of_a_lane_is_added_or_is_known_to_be_none_that_can():
    numbers = {one.name for one in fields(LaneStats) if one.type == "int" and one.metadata != ADDED}
    assert numbers == {"status"}


@pytest.mark.parametrize(
    ("why", "line"),
    [
        (Waiting("paused", None, None), "w: 1,200 pending, paused"),
        (
            Waiting("due", "2026-11-28T18:20:01.500Z", "status 503"),
            "w: 1,200 pending, not due until 18:20:01 UTC; status 503",
        ),
        (
            Waiting("down", "2026-11-28T18:20:01.500Z", "status 503"),
            "w: 1,200 pending, its receiver is down, probed at 18:20:01 UTC; status 503",
        ),
        (Waiting("stopped", None, None), "w: 1,200 pending, to be sent by the next run"),
        (
            Waiting("stopped", "2026-11-28T18:20:01.500Z", "status 503"),
            "w: 1,200 pending, to be sent by the next run, not before 18:20:01 UTC; status 503",
        ),
        (
            Waiting("stopped", None, "connect: Connection refused (127.0.0.1:8787)"),
            "w: 1,200 pending, to be sent by the next run; connect: Connection refused (127.0.0.1:8787)",
        ),
        (
            Waiting("stopped", None, "oauth2: the token endpoint answered 500"),
            "w: 1,200 pending, to be sent by the next run; oauth2: the token endpoint answered 500",
        ),
    ],
)
def test_why_something_is_pending_is_one_line(why: Waiting, line: str):
    assert why.line("w", 1200) == line
    page = replace(why, last="<html>\n" * 1000).line("w", 1200)
    assert "\n" not in page
    assert len(page) <= 300


@pytest.mark.parametrize(
    ("why", "status", "error", "wanted"),
    [
        ("", 503, "busy", Waiting("sending", None, None)),  # an old error explains nothing
        ("rate", 503, "busy", Waiting("rate", None, None)),
        ("down", 503, "ok", Waiting("down", None, "status 503: ok")),
        ("down", 503, "", Waiting("down", None, "status 503")),
        ("down", 0, "timeout: none", Waiting("down", None, "timeout: none")),
        ("due", 0, "", Waiting("due", None, None)),
    ],
)
def test_a_running_lane_says_why_it_waits(tmp_path: Path, why: str, status: int, error: str, wanted: Waiting):
    lanes = {"w": {"why": why, "status": status, "error": error, "due_at": ""}}
    assert waiting(tmp_path, {"w": {"pending": 1}, "idle": {"pending": 0}}, lanes) == {"w": wanted}


def test_a_run_and_the_status_after_it_say_why_something_is_pending(tmp_path: Path):
    bench = Bench(tmp_path)
    with Receiver({"/late": [{"status": 503, "headers": {"retry-after": "600"}}], "*": 200}) as receiver:
        for name in ("late", "paused", "well"):
            bench.webhook(name, receiver.url(f"/{name}"))
        bench.append({"id": "e1"})
        bench.hookline("webhook", "pause", "paused")
        said, _ = finished(*bench.command(), env=bench.environ)
    assert "late: 1 pending, to be sent by the next run, not before" in said
    assert "paused: 1 pending, paused" in said
    found = bench.status()["waiting"]
    assert set(found) == {"late", "paused"}
    assert (found["late"]["why"], found["paused"]["why"]) == ("stopped", "paused")
    assert found["late"]["due_at"] is not None
    assert found["late"]["last"] == "status 503"
    configured_file(bench.state).write_text('{"late": false}')
    assert bench.status()["waiting"]["late"]["why"] == "off"


def test_what_is_gone_of_a_state_directory_is_told_beside_what_is_left(tmp_path: Path):
    bench = Bench(tmp_path)
    with Receiver({"*": 200}) as receiver:
        bench.webhook("w", receiver.url("/w"))
        bench.append(*({"id": f"e{number}", "user_id": f"u{number}"} for number in range(20)))
        finished(*bench.command(), env=bench.environ)
    assert bench.status()["missing"] == []
    shards = sorted(bench.state.glob("shards/*"))
    shutil.rmtree(shards[0])
    (shards[1] / "data.mdb").unlink()
    finished(*bench.command(), env=bench.environ, code=3)  # leaves an empty store
    assert (shards[0] / "data.mdb").exists()
    told = [f"{shard}: the store's files are gone" for shard in shards]
    assert [one.partition(", and")[0] for one in bench.status()["missing"]] == told
    assert bench.hookline("dlq", "list").count("warning: ") == len(told)
    shutil.rmtree(bench.state / "recovery")
    assert "recovery store is gone" in bench.status()["missing"][0]


def test_a_store_that_a_job_commits_for_the_first_time_meanwhile_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bench = Bench(tmp_path)
    with Receiver({"*": 200}) as receiver:
        bench.webhook("w", receiver.url("/w"))
        bench.append({"id": "e1"})
        finished(*bench.command(), env=bench.environ)
    shards, later, read = bench.state / "shards", bench.state / "later", recovery.read_tokens
    shards.rename(later)

    def commit_then_read(folder: Path) -> missing.Tokens:
        later.rename(shards)
        return read(folder)

    monkeypatch.setattr(missing, "read_tokens", commit_then_read)
    assert missing.missing(bench.state) == []
