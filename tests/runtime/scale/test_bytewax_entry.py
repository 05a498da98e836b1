"""`python -m bytewax.run dataflows.webhooks:get_flow`: the messages and exit codes of `hookline run`."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.kit.programs.run import Bench, ended, until


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.append(*({"id": f"e{n}"} for n in range(50)))
    return bench


def told(bench: Bench, code: int, *flags: object) -> str:
    with bench.bytewax(*flags) as job:
        return ended(job, code)[1]


def test_a_broken_config_is_shown_in_full_and_without_a_traceback(bench: Bench):
    path = bench.config / "webhooks" / "w.yaml"
    path.write_text(path.read_text().replace("trigger", "triger"))
    said = told(bench, 1)
    assert "w.yaml:2:1: error[unknown-field]: `triger`" in said
    assert "did you mean `trigger`?" in said
    assert "Traceback" not in said
    assert not bench.state.exists()


def test_a_running_job_answers_and_keeps_its_state_to_itself(bench: Bench):
    with bench.bytewax(FOLLOW="true") as job:
        until(lambda: bench.counts("w")["delivered"] == 50)
        assert bench.status()["running"]
        said = told(bench, 3)
        assert "is in use by another job" in said
        assert "Traceback" not in said
        bench.hookline("webhook", "pause", "w")
        bench.append({"id": "more"})
        until(lambda: bench.counts("w")["pending"] == 1)
        bench.hookline("webhook", "resume", "w")
        until(lambda: bench.counts("w")["delivered"] == 51)
        job.send_signal(signal.SIGTERM)
        ended(job)


def test_what_stops_the_job_later_has_its_own_exit_code_too(bench: Bench):
    told(bench, 0)
    bench.stream.write_text('{"type": "event", "name": "Other", "user_id": "u1"}\n')
    said = told(bench, 3)
    assert "events.jsonl" in said


def test_another_recovery_store_than_the_jobs_own_is_refused(bench: Bench, tmp_path: Path):
    said = told(bench, 2, "-r", tmp_path, "-s", 1, "-b", 0)
    assert "leave out --recovery-directory" in said
