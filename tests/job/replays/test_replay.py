"""A replay sends what its dry run says, with the ids of the live run, and leaves the live state alone."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from tests.job.replays.past import BEGIN, Past, arrived, contents, told
from tests.kit.programs.run import ended, started, until


@pytest.fixture
def past(tmp_path: Path, receiver: Receiver) -> Past:
    return Past.of(tmp_path, receiver)


def numbers(receiver: Receiver) -> set[int]:
    return {int(request.query.removeprefix("n=")) for request in receiver.requests if request.query}


def test_two_dry_runs_are_equal_to_the_byte_and_send_nothing(past: Past, receiver: Receiver):
    first = past.replay("--dry-run")
    assert first == past.replay("--dry-run")
    assert first.count("\n") > 150
    assert receiver.requests == []
    assert not list(past.bench.folder.glob("state*"))


def test_a_replay_sends_what_the_dry_run_says_with_the_ids_of_the_live_run(past: Past, receiver: Receiver):
    past.bench.run()
    live = {(request.message_id, request.body) for request in receiver.requests}
    assert not any("webhook-replay" in request.headers for request in receiver.requests)
    before = contents(past.bench.state)
    receiver.requests.clear()

    past.replay()
    assert arrived(receiver.requests) == told(past.rehearse(), receiver)
    assert {(request.message_id, request.body) for request in receiver.requests} == live
    assert contents(past.bench.state) == before, "the live state was touched"


@pytest.mark.parametrize(
    "flags",
    [
        ["--webhook", "crm", "--webhook", "plans"],
        ["--user", "u3"],
        ["--from", BEGIN + 100, "--to", BEGIN + 200],
        ["--from", "2025-06-15T15:08:20Z", "--webhook", "first"],
    ],
    ids=["webhooks", "user", "window", "since"],
)
def test_a_chosen_part_is_what_the_dry_run_says_and_sees_the_whole_past(
    past: Past, receiver: Receiver, flags: list[object]
):
    rows = past.rehearse(*flags)
    assert 0 < len(rows) < len(past.rehearse())
    past.replay(*flags)
    assert arrived(receiver.requests) == told(rows, receiver)
    if "--user" in flags:
        assert {r.path for r in receiver.requests if r.path.startswith("/crm")} == {"/crm/u3"}
    if "--to" in flags:
        assert numbers(receiver) <= set(range(100, 200))
        assert b'"plan"' in next(r.body for r in receiver.requests if r.query), (
            "updates before the window count"
        )


def test_requests_can_go_elsewhere(past: Past, receiver: Receiver):
    with Receiver({"*": [200]}) as other:
        rows = past.rehearse("--to", other.url(""), "--webhook", "crm")
        assert all(row["url"].startswith(other.url("/crm/")) for row in rows)
        past.replay("--to", other.url(""), "--webhook", "crm")
        assert arrived(other.requests) == told(rows, other)
    assert receiver.requests == []


def test_a_rate_is_kept(past: Past, receiver: Receiver):
    past.replay("--rate", "40/s", "--webhook", "crm", "--from", BEGIN + 150)
    times = sorted(request.at for request in receiver.requests)
    assert len(times) > 50
    assert times[-1] - times[0] > (len(times) - 45) / 40, (
        "a burst of one second's worth at most, then the rate"
    )


@pytest.mark.parametrize(
    "source",
    [
        "{jsonl: {paths: [live.jsonl], follow: true}}",
        "{jsonl: {events: [live-events.jsonl], users: [live-users.jsonl]}}",
        "{kafka: {brokers: '127.0.0.1:9', events: [events], users: [users]}}",
    ],
    ids=["followed files", "two sets of files", "topics"],
)
def test_the_named_recording_is_read_to_its_end_whatever_the_job_reads(
    past: Past, receiver: Receiver, source: str
):
    settings = past.bench.config / "pipeline.yaml"
    settings.write_text(f"{settings.read_text()[:-1]}, source: {source}}}")
    rows = past.rehearse("--webhook", "crm", "--from", BEGIN + 200)
    assert len(rows) > 30
    past.replay("--webhook", "crm", "--from", BEGIN + 200)
    assert arrived(receiver.requests) == told(rows, receiver)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_same_command_goes_on_where_it_was_stopped(past: Past, receiver: Receiver, how: signal.Signals):
    expected = told(past.rehearse(), receiver)
    receiver.answer({"*": {"delay_secs": 0.3}})
    settings = past.bench.config / "pipeline.yaml"
    settings.write_text(settings.read_text()[:-1] + ", delivery: {concurrency: 4}}")
    with started(*past.command(), env=past.environment) as job:
        until(lambda: len(receiver.requests) >= 24)
        job.send_signal(how)
        ended(job, 0 if how == signal.SIGINT else -9, secs=20)
    assert len(receiver.requests) < len(expected)
    receiver.answer({"*": [200]})
    past.replay()
    found = Counter(arrived(receiver.requests))
    assert sorted(found) == expected
    assert sum(found.values()) - len(found) <= (16 if how == signal.SIGKILL else 0)


def test_the_dataflow_of_a_replay_runs_under_bytewax_own_runner(past: Past, receiver: Receiver):
    flow = (
        f"dataflows.replay:get_flow(since='2025-06-15T15:08:20Z', webhooks=('crm',), to='{receiver.url('')}')"
    )
    with past.bench.bytewax(flow=flow) as job:
        ended(job)
    assert not past.bench.state.exists(), "it has a state directory of its own"
    rows = past.rehearse("--from", "2025-06-15T15:08:20Z", "--webhook", "crm")
    assert arrived(receiver.requests) == told(rows, receiver)


def test_what_cannot_be_replayed_is_said_before_anything_is_sent(past: Past, receiver: Receiver):
    for flags, wrong in (
        (["--webhook", "cmr"], "there is no webhook `cmr`"),
        (["--to", "http://127.0.0.1:9/path"], "is no origin"),
        (["--speed", "fast"], "is no speed"),
        (["--rate", "0"], "is no rate"),
        (["--from-kafka"], "name recordings to replay, or --from-kafka"),
        (["--from", "noon"], "noon"),
    ):
        assert wrong in past.replay(*flags, code=2)
    assert receiver.requests == []
