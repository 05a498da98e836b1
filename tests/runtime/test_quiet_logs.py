"""A job that follows logs starts again, whatever became of them."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Job, ids
from tests.kit.programs.run import Bench, until


def put(path: Path, name: str) -> None:
    with path.open("a") as file:
        file.write(f'{{"type":"event","name":"E","user_id":"u","id":"{name}"}}\n')


def test_a_job_starts_again_after_a_quiet_log_was_rotated_and_deleted(
    tmp_path: Path, receiver: Receiver
) -> None:
    settings = (
        "{network: {allow: [127.0.0.0/8]}, epoch: 200ms, shards: 2, "
        "source: {jsonl: {paths: [../events.jsonl, ../other.jsonl]}}}"
    )
    bench = Bench(tmp_path, settings, is_collected=True)
    bench.webhook("w", receiver.url("/w"))
    quiet, other = bench.stream, tmp_path / "other.jsonl"

    put(quiet, "1")
    put(other, "2")
    old = tmp_path / "events.jsonl.1"
    with Job(bench) as job:
        until(lambda: len(ids(receiver.requests)) == 2)
        quiet.rename(old)
        quiet.touch()
        put(other, "3")  # once it has come, the job has looked at both
        until(lambda: len(ids(receiver.requests)) == 3)
        job.stop()
    old.unlink()
    with Job(bench) as job:
        put(quiet, "4")
        until(lambda: len(ids(receiver.requests)) == 4)
        job.stop()
    assert ids(receiver.requests).total() == 4


def test_a_job_goes_on_when_its_log_is_emptied_while_it_runs_or_not(
    tmp_path: Path, receiver: Receiver
) -> None:
    bench = Bench(tmp_path, "{network: {allow: [127.0.0.0/8]}, epoch: 200ms, shards: 2}")
    bench.webhook("w", receiver.url("/w"))
    put(bench.stream, "1")
    with Job(bench) as job:
        until(lambda: len(ids(receiver.requests)) == 1)
        os.truncate(bench.stream, 0)
        until(lambda: "what was there at the last look had been read" in job.said)
        put(bench.stream, "2")
        until(lambda: len(ids(receiver.requests)) == 2)
        job.stop()
    os.truncate(bench.stream, 0)
    with Job(bench) as job:
        until(lambda: "what was not read of it is lost" in job.said)
        put(bench.stream, "3")
        until(lambda: len(ids(receiver.requests)) == 3)
        job.stop()
    assert ids(receiver.requests).total() == 3
