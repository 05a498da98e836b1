"""`hookline run`: its summary, its exit codes, and a job of several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from tests.kit.programs.run import HOOKLINE, Bench, Running, children, ended, finished, lines_of, ran, until

EVENTS = [{"id": str(number), "user_id": f"u{number % 20}"} for number in range(60)]


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.append(*EVENTS)
    return bench


def shell(bench: Bench, *flags: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    words = ["run", "-c", bench.config, "--state", bench.state, *flags]
    return ran(HOOKLINE, *words, stdin=stdin)


def delivered(bench: Bench, number: int, job: Running) -> bool:
    """Return whether so many are delivered; fail with what the job said if it has ended."""
    if job.poll() is not None:
        raise AssertionError(f"the job ended with {job.returncode}: {job.communicate()}")
    return bench.counts("w")["delivered"] == number


def test_the_summary_has_exactly_the_documented_keys_and_is_alone_on_stdout(bench: Bench):
    summary = bench.run()
    assert set(summary) == {"records", "webhooks", "events_seen", "latency_ms", "elapsed_secs"}
    assert summary["records"] == {
        "read": 60,
        "events": 60,
        "updates": 0,
        "links": 0,
        "invalid": 0,
        "timeless": 60,
    }
    assert summary["webhooks"] == {
        "w": {"matched": 60, "delivered": 60, "dead": 0, "pending": 0, "suppressed": 0}
    }
    assert set(summary["latency_ms"]) == {"p50", "p99"}


def test_a_webhook_that_never_fires_stands_in_every_table_with_zeros_beside_the_names_that_came(bench: Bench):
    bench.webhook("quiet", "http://127.0.0.1:9/", events='"Order Complete"')
    bench.append({"name": "Order Completed"}, {"name": "bell\a\nname"})
    zeros = dict.fromkeys(("matched", "delivered", "dead", "pending", "suppressed"), 0)
    for processes in (1, 2):
        summary = bench.run("--processes", processes)
        assert summary["webhooks"]["quiet"] == zeros
        assert summary["webhooks"]["w"]["matched"] == 62
        expected = ["E", "Order Completed", "bell\a\nname"] if processes == 1 else []
        assert summary["events_seen"] == expected  # the second run reads nothing
    assert bench.status()["webhooks"]["quiet"] == zeros
    assert "quiet" in bench.hookline("status")
    bench.append({"name": "bell\a\nname"})
    said = shell(bench, "--source", bench.stream).stdout
    assert "events seen: bell\\x07\\nname\n" in said
    assert "quiet matched nothing: `hookline explain " in said
    with bench.running() as job:
        bench.append({"name": "Late"})
        until(lambda: delivered(bench, 64, job))
        live = bench.status()
        assert (live["webhooks"]["quiet"], live["events_seen"]) == (zeros, ["Late"])
        assert "events seen: Late\n" in bench.hookline("status")
    quiet = bench.config / "webhooks/quiet.yaml"
    quiet.write_text(quiet.read_text() + "enabled: false\n")
    said = shell(bench, "--source", bench.stream).stdout
    assert "matched nothing" not in said + bench.hookline("status"), "it is not to match"
    assert bench.status()["webhooks"]["quiet"] == zeros
    # Who is no longer configured and never counted is gone; whoever counted stays.
    quiet.unlink()
    assert set(bench.run()["webhooks"]) == {"w"}


def test_the_names_of_two_processes_are_told_together(bench: Bench):
    assert bench.run("--processes", 2)["events_seen"] == ["E"]


def test_input_that_nobody_understands_says_so_with_a_reason(bench: Bench):
    bench.stream.write_text('{"ts": 1, "uid": "u1"}\n' * 3)
    done = shell(bench, "--source", bench.stream, "--json")
    assert json.loads(done.stdout)["records"]["invalid"] == 3
    assert "none of the records could be understood. One of them: " in done.stderr
    assert "`hookline dlq list --webhook -` shows them" in done.stderr


def test_a_reason_is_given_where_some_of_the_input_is_not_understood(bench: Bench):
    with bench.stream.open("a") as stream:
        stream.write('{"ts": 1}\n' * 2)
    done = shell(bench, "--source", bench.stream)
    assert "2 records could not be understood. One of them: invalid: " in done.stderr
    assert "hookline sniff" not in done.stderr


def test_a_second_run_has_nothing_new_to_read(bench: Bench, receiver: Receiver):
    bench.run()
    done = shell(bench, "--source", bench.stream)
    assert "this run: 0 records" in done.stdout
    assert len(receiver.requests) == 60


def test_a_stream_comes_from_stdin_too(bench: Bench, receiver: Receiver):
    done = shell(bench, "--source", "-", "--json", stdin=bench.stream.read_text())
    assert json.loads(done.stdout)["webhooks"]["w"]["delivered"] == 60


def test_dead_letters_are_an_error_only_where_that_is_asked_for(bench: Bench, receiver: Receiver):
    receiver.answer({"*": [400]})
    assert bench.run()["webhooks"]["w"]["dead"] == 60
    bench.run("--fail-on-dead", code=1)


def test_a_broken_config_stops_before_anything_is_read(bench: Bench):
    path = bench.config / "webhooks" / "w.yaml"
    path.write_text(path.read_text().replace("trigger", "triger"))
    done = shell(bench, "--source", bench.stream)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error[unknown-field]" in done.stderr
    assert not bench.state.exists()


def test_a_stream_that_is_not_there_is_named(bench: Bench):
    done = shell(bench, "--source", bench.folder / "none.jsonl")
    assert done.returncode == 1
    assert "there is no file or directory" in done.stderr


def test_a_second_job_on_the_same_state_is_refused(bench: Bench):
    with bench.running():
        until(lambda: bench.counts("w")["delivered"] == 60)
        done = shell(bench, "--source", bench.stream)
        assert done.returncode == 3
        assert "is in use by another job" in done.stderr


def test_log_lines_are_json_where_nobody_watches(bench: Bench):
    done = shell(bench, "--source", bench.stream, "--metrics", "0")
    assert [row["message"] for row in lines_of(done.stderr, "info")][:1] == ["metrics"]


@pytest.mark.parametrize(
    ("flag", "value"), [("--metrics", "none"), ("--epoch", "none"), ("--allow", "none"), ("--shards", "0")]
)
def test_a_flag_that_cannot_be_understood_is_refused_before_the_start(bench: Bench, flag: str, value: str):
    done = shell(bench, "--source", bench.stream, flag, value)
    assert done.returncode in (1, 2)
    assert "error" in done.stderr
    assert flag in done.stderr
    assert done.stdout == ""


def test_several_processes_deliver_the_same_as_one(bench: Bench, receiver: Receiver):
    summary = bench.run("--processes", 2)
    assert summary["records"]["read"] == 60
    assert summary["webhooks"]["w"]["delivered"] == 60
    assert len({request.message_id for request in receiver.requests}) == len(receiver.requests) == 60
    assert set(summary["latency_ms"]) == {"p50", "p99"}


def test_without_a_terminal_a_reload_signal_ends_nothing(bench: Bench) -> None:
    """As `systemctl reload` and reloaders beside a container send it."""
    with bench.started("--follow", "--json", session=True) as job:
        until(lambda: delivered(bench, 60, job))
        job.send_signal(signal.SIGHUP)
        bench.append({"id": "more"})
        until(lambda: delivered(bench, 61, job))
        job.send_signal(signal.SIGTERM)
        ended(job, secs=40)


@pytest.mark.parametrize("whole_group", [False, True])
def test_sigterm_to_the_parent_or_its_group_stops_all_cleanly(bench: Bench, whole_group: bool):
    with bench.started("--follow", "--processes", 2, "--json", session=True) as job:
        until(lambda: delivered(bench, 60, job))
        os.killpg(job.pid, signal.SIGTERM) if whole_group else job.send_signal(signal.SIGTERM)
        out, _ = ended(job, secs=40)
        assert json.loads(out)["webhooks"]["w"]["delivered"] == 60


def test_a_process_that_dies_ends_the_group_with_its_cause_and_the_next_run_goes_on(
    bench: Bench, receiver: Receiver
):
    with bench.started("--follow", "--processes", 2) as job:
        until(lambda: delivered(bench, 60, job))
        victim, other = children(job.pid)
        os.kill(victim, signal.SIGKILL)
        _, err = ended(job, 4, secs=40)
        (line,) = [row for row in lines_of(err, "error") if row["message"] == "a process ended"]
        assert (line["pid"], line["exit"]) == (victim, -9)
        assert not Path(f"/proc/{other}").exists()
    bench.append({"id": "more"})
    assert bench.run("--processes", 2)["webhooks"]["w"]["delivered"] == 61


def test_with_restart_the_group_is_started_again(bench: Bench, receiver: Receiver):
    with bench.running("--processes", 2, "--restart") as job:
        until(lambda: delivered(bench, 60, job))
        before = children(job.pid)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(set(children(job.pid)) - set(before)) == 2)
        bench.append({"id": "more"})
        until(lambda: delivered(bench, 61, job))
    assert len({request.message_id for request in receiver.requests}) == 61


def test_the_members_end_when_their_parent_is_killed(bench: Bench):
    with bench.started("--follow", "--processes", 2) as job:
        until(lambda: delivered(bench, 60, job))
        alive = children(job.pid)
        job.kill()
    until(lambda: not any(Path(f"/proc/{member}").exists() for member in alive))


def test_bytewax_own_runner_runs_the_same_job(bench: Bench, receiver: Receiver):
    with bench.bytewax() as job:
        ended(job)
    assert bench.counts("w")["delivered"] == len(receiver.requests) == 60


def test_a_pinned_job_runs_on_one_core_and_delivers_the_same(bench: Bench, receiver: Receiver) -> None:
    cores = []
    keep, os.sched_setaffinity = os.sched_setaffinity, lambda pid, chosen: cores.append((pid, set(chosen)))
    try:
        bench.hookline("run", "--source", bench.stream, "--pin", "--json")
    finally:
        os.sched_setaffinity = keep
    assert [(pid, len(chosen)) for pid, chosen in cores] == [(0, 1)]
    assert bench.counts("w")["delivered"] == len(EVENTS)


STOPPED_AT_ONCE = """
import os, sys
import pipeline.cli as cli
import pipeline.model.process.stop as stop
listen = stop.listen
stop.listen = lambda: (listen(), os.kill(os.getpid(), {number}))
sys.argv = {argv}
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_the_job_is_starting_ends_it_cleanly(bench: Bench, number: signal.Signals) -> None:
    program = STOPPED_AT_ONCE.format(number=int(number), argv=bench.command("--follow"))
    finished(sys.executable, "-c", program)


def test_more_processes_than_shards_are_warned_of(bench: Bench):
    for processes in (1, 2):
        done = shell(bench, "--source", bench.stream, "--shards", 1, "--processes", processes)
        assert (done.returncode, "more processes than shards" in done.stderr) == (0, processes > 1)
