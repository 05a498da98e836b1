"""A job at a glance: each webhook in a row, the last hour, what needs a person."""

from __future__ import annotations

import time
from pathlib import Path
from sys import getsizeof
from typing import get_args

import pytest

from pipeline.deliver.halts import Halts
from pipeline.job.control.pressure import Reason
from pipeline.model.errors import UsageError
from pipeline.operate.overview.needs import needs
from pipeline.operate.overview.rows import Listing, host_of, rows, trigger_words
from pipeline.operate.overview.sampler import POINTS, RATE_STEPS, READ, STEP_SECS, STEPS, Sampler, spark
from pipeline.operate.overview.standing import Standing, standing
from pipeline.operate.running.processes import PAUSED, Processes
from pipeline.operate.unsaved.environment import SecretState
from pipeline.outbox.handover import Progress
from tests.kit.machine.kept import keep, letter

NOW = time.time_ns() // 1_000_000


def counts(**numbers: int) -> dict[str, int]:
    return {**dict.fromkeys(("matched", "delivered", "dead", "pending", "suppressed"), 0), **numbers}


def listed(id: str, **more: object) -> dict[str, object]:
    trigger = {"events": ["Purchase"]}
    return {"id": id, "file": f"webhooks/{id}.yaml", "enabled": True, "trigger": trigger, "errors": 0, **more}


def said(**more: object) -> dict[str, object]:
    return {
        "records": {"read": 10, "events": 9, "updates": 1, "links": 0, "invalid": 0},
        "webhooks": {"crm": counts(matched=5, delivered=3, pending=2)},
        "lanes": {},
        "latency_ms": {"p50": 1.0, "p99": 4.0},
        "elapsed_secs": 7.0,
        "config": {"version": "c0ffee", "problems": ""},
        "bytes": [10, 30],
        "disk_free_bytes": 100,
        **more,
    }


def test_several_processes_are_one_job(tmp_path: Path):
    other = said(waits="a schema is awaited", bytes=[0, 0], latency_ms={"p50": 2.0, "p99": 3.0})
    found = standing(tmp_path, [said(), other])
    assert (found.running, found.records["read"]) == (True, 20)
    assert found.webhooks["crm"] == counts(matched=10, delivered=6, pending=4)
    assert found.job is not None
    assert (found.job.latency_ms, found.job.left_bytes) == ({"p50": 2.0, "p99": 4.0}, 20)
    assert found.job.waits == "a schema is awaited"
    assert found.unbalanced == []
    assert standing(tmp_path, [said(webhooks={"crm": counts(matched=1)})]).unbalanced == ["crm"]


def test_a_stopped_job_stands_as_its_stores_say_and_a_new_one_has_no_counts(tmp_path: Path):
    assert standing(tmp_path / "new", []) == Standing()
    state = keep(tmp_path / "state", [letter("crm", 1)], [("crm", 2, Progress())])
    found = standing(state, [])
    assert found.totals == counts(matched=2, dead=1, pending=1)
    assert not found.running


def test_a_row_says_what_the_file_says_and_what_is_now():
    stands = Standing(
        Processes([said()]),
        webhooks={"crm": counts(matched=4, dead=4), "old": counts(matched=1, pending=1)},
        lanes={"crm": {"receiver": "down", "error": "timeout: slow", "status": 0, "p99_ms": 12.5}},
        halted={"shop": "gone"},
    )
    files = [
        listed("crm", url="https://u:p@crm.example/x?key=1", method="PUT"),
        listed("shop", enabled=False),
        listed("off", enabled=False),
        listed("broken", errors=2, trigger=None),
        listed("all", trigger={"events": "*"}),
    ]
    found = {row.id: row for row in rows(files, stands, Sampler())}
    assert {name: row.state for name, row in found.items()} == {
        "crm": "down", "shop": "gone", "off": "off", "broken": "broken", "all": "active", "old": "unknown",
    }  # fmt: skip
    crm = found["crm"]
    assert (crm.method, crm.host, crm.p99_ms, crm.error) == ("PUT", "crm.example", 12.5, "timeout: slow")
    assert [name for name, row in found.items() if row.all_events] == ["all"]
    assert [row.id for row in Listing(state="attention").of(list(found.values()))] == [
        "all", "broken", "crm", "old", "shop",
    ]  # fmt: skip
    assert [row.id for row in Listing(text="CRM.").of(list(found.values()))] == ["crm"]
    assert Listing(sort="matched", desc=True).of(list(found.values()))[0].id == "crm"
    with pytest.raises(UsageError, match="did you mean `matched`"):
        Listing(sort="match").of([])
    with pytest.raises(UsageError, match="there is no state `x`"):
        Listing(state="x").of([])


@pytest.mark.parametrize(
    ("trigger", "words", "everything"),
    [
        ({"events": ["a", "b"]}, "a, b", False),
        ({"events": "*"}, "all events", True),
        ({"events": ["*", "a"]}, "*, a", True),
        ({"events": "*", "where": [{"event.name": "x"}]}, "all events, 1 condition", False),
        ({"changes": ["plan"], "where": {"a": 1, "b": 2}}, "changes of plan, 2 conditions", False),
        ({"changes": "*"}, "any change of a user", False),
        ("nonsense", "no trigger", False),
    ],
)
def test_a_trigger_in_words(trigger, words, everything):
    assert trigger_words(trigger) == (words, everything)


def test_a_host_shows_no_secret():
    assert host_of("${RECEIVER:-http://127.0.0.1:1}/hooks") == "${RECEIVER}"
    assert host_of("https://${TENANT}.example/${TOKEN}") == "${TENANT}.example"
    assert host_of("") == ""


def test_rates_are_those_of_the_last_minute_and_points_those_of_the_last_hour():
    sampler = Sampler()
    assert sampler.rate("crm", "matched") is None
    sampler.take({"crm": counts(matched=1000)}, 5000)  # of before: nothing has grown yet
    assert sampler.rate("crm", "matched") is None
    for step in range(1, STEPS + 40):
        sampler.take({"crm": counts(matched=1000 + 10 * step, dead=1 if step < 5 else 0)}, 5000 + step)
    assert sampler.rate("crm", "matched") == 10 / STEP_SECS
    assert sampler.rate(READ, "read") == 1 / STEP_SECS
    assert sampler.rate("crm", "dead") == sampler.rate("other", "matched") == 0.0
    assert sampler.lately("crm", "matched") == [120] * POINTS
    assert sum(sampler.lately("crm", "dead")) == 0  # an hour ago, and what was taken back is no growth
    assert sampler.known_secs == 3600
    sampler.take({"crm": counts(matched=1), "new": counts(matched=7)}, 0)
    assert sampler.lately("new", "matched")[-1] == 7
    for steps in range(RATE_STEPS):
        assert sampler.rate("new", "matched") == 7 / 60, f"{steps} steps later"
        sampler.take({"new": counts(matched=7)}, 0)
    assert sampler.rate("new", "matched") == 0.0


def test_a_webhook_of_which_an_hour_told_nothing_takes_no_room():
    sampler = Sampler()
    sampler.take({}, 0)
    sampler.take({"gone": counts(matched=3)}, 1)
    one = getsizeof(sampler._grown["gone", "matched"])
    for step in range(2 * STEPS):
        sampler.take({"gone": counts(matched=3)}, step)
    assert one > 5_000
    assert list(sampler._grown) == [(READ, "read")]
    assert sampler.rate("gone", "matched") == 0.0


def test_a_sparkline_is_a_path_within_its_box():
    path = spark([0, 5, 10])
    assert path == "M0,19L30,10L60,1"
    assert spark([0, 0]) == "M0,19L60,19"
    assert spark([]) == "M"


def test_what_needs_a_person_comes_the_worst_first_with_what_to_do(tmp_path: Path):
    state = keep(
        tmp_path / "state",
        [
            letter("crm", 1, at=NOW - 1000),
            letter("crm", 2, at=NOW - 2000),
            letter("old", 3, at=NOW - 3 * 3_600_000),
            letter("", 4, kind="record", reason="no JSON", at=NOW),
            letter("", 5, kind="record", reason="no JSON", at=NOW),
        ],
    )
    Halts(state).obey("paused", "pause")
    stands = Standing(
        Processes([said(config={"version": "c0ffee", "problems": "x"})]),
        webhooks={"paused": counts(matched=3, pending=3), "crm": counts(matched=2, dead=2)},
        lanes={"crm": {"receiver": "down", "error": "503"}},
        halted=Halts(state).all(),
    )
    known = rows([listed("crm"), listed("paused")], stands, Sampler())
    found = needs(state, stands, known, [SecretState("T", False, ("crm",))])
    assert [(one.kind, one.words + (f": {one.detail}" if one.detail else "")) for one in found] == [
        ("bad", "An edit was refused: the job keeps the previous config"),
        ("bad", "${T} has no value: crm cannot be sent to"),
        ("bad", "The receiver of crm is down: 503"),
        ("warn", "2 records that could not be read in the last hour: invalid: no JSON"),
        ("warn", "2 dead letters of crm in the last hour: max-age"),
        ("info", "paused is paused and has 3 pending requests"),
    ]
    assert found[4].path == "/dead-letters?webhook=crm&since=1h&reason=max-age"
    assert found[2].path == "/webhooks/crm"
    assert needs(tmp_path / "new", Standing(), []) == []


def test_a_stuck_worker_and_records_that_wait_need_a_person(tmp_path: Path):
    stuck, waits = needs(tmp_path, Standing(Processes([said(still_secs=61.0, waits="a registry")])), [])
    assert (stuck.kind, "stuck for 61 s" in stuck.words) == ("bad", True)
    assert (waits.kind, waits.words) == ("bad", "Records wait: a registry")


@pytest.mark.parametrize("reason", get_args(Reason))
def test_why_nothing_is_read_is_told_in_words(tmp_path: Path, reason: Reason):
    (one,) = needs(tmp_path, Standing(Processes([said(paused=reason)])), [])
    assert one.words == f"Nothing is read for the moment: {PAUSED[reason]}"
    assert (one.kind == "warn") == (reason in ("disk", "webhook"))


def test_many_in_one_state_are_one_line(tmp_path: Path):
    files = [listed(f"w{n}", errors=1) for n in range(9)]
    (one,) = needs(tmp_path, Standing(), rows(files, Standing(), Sampler()))
    assert (one.words, one.path) == ("9 webhooks have errors in their files", "/webhooks?state=broken")
