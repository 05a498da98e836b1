"""What runs side by side is started anew where that helps, ends together where it does not, in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.model.process.stop import forget, handled_by, listen
from pipeline.runtime.processes import group, supervisor
from pipeline.runtime.processes.group import Team
from pipeline.runtime.processes.supervisor import Supervisor
from tests.kit.programs.run import until

TOOK = """
import os, pathlib, signal, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def note(what):
    with (folder / "log").open("a") as file:
        file.write(f"{name} {what}\\n")
def stop(number, frame):
    at_once = lambda *_: (note("ended at once"), sys.exit(143))
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else at_once)
    note("asked")
    time.sleep(float(sys.argv[3]))
    note("stopped")
    sys.exit(int(sys.argv[4]))
signal.signal(signal.SIGTERM, stop)
note("started")
if "tells" in sys.argv:
    print("{}", flush=True)
if "suspends" in sys.argv:
    os.kill(os.getpid(), signal.SIGSTOP)
while True:
    time.sleep(60)
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run programs as members: `stays` until it is stopped, an exit code, or a list of them."""
    monkeypatch.setattr(supervisor, "FIRST_WAIT_SECS", 0.01)
    starts: dict[str, int] = {}

    def popen(command: list[str], **given: Any) -> subprocess.Popen[bytes]:
        name, *words = command[3:-2]
        starts[name] = number = starts.get(name, 0) + 1
        if words[0] == "stays":
            program = [sys.executable, "-S", "-c", TOOK, name, str(tmp_path), *words[1:]]
        else:
            program = ["sh", "-c", f"exit {words[min(number, len(words)) - 1]}"]
        return subprocess.Popen(program, **given)

    monkeypatch.setattr(group, "subprocess", SimpleNamespace(Popen=popen, DEVNULL=-3, PIPE=-1))

    def run(
        *teams: str, while_: Callable[[], None] | None = None, silent_secs: float | None = None
    ) -> tuple[int, Supervisor, list[str]]:
        (tmp_path / "log").write_text("")
        found = [Team(line.split()[0], line.split(), joined=False, silent_secs=silent_secs) for line in teams]
        running = Supervisor(found)
        with handled_by(lambda number, frame: None):
            listen()
            try:
                if while_ is not None:
                    threading.Thread(target=while_, daemon=True).start()
                code = running.run()
            finally:
                forget()
        return code, running, (tmp_path / "log").read_text().splitlines()

    run.starts = starts  # type: ignore[attr-defined]  # a word of this test
    run.log = lambda: (tmp_path / "log").read_text()  # type: ignore[attr-defined]  # a word of this test
    return run


def has_all(run: Any, words: list[str]) -> bool:
    return all(word in run.log() for word in words)


def interrupt(run: Any, *, when: str, again_when: str = "", starts: int = 0) -> Callable[[], None]:
    """Return what presses Ctrl-C once the log says something (and `a` was started so often), and again once
    it says something more.
    """

    def press() -> None:
        until(lambda: run.starts.get("a", 0) >= starts)
        for said in filter(None, (when, again_when)):
            until(partial(has_all, run, said.split(", ")))
            os.kill(os.getpid(), signal.SIGINT)

    return press


def test_ctrl_c_stops_one_after_the_other_in_their_order(run):
    press = interrupt(run, when="a started, b started")
    code, running, said = run("a stays 0.2 0", "b stays 0 0", while_=press)
    assert code == 0
    assert said[2:] == ["a asked", "a stopped", "b asked", "b stopped"]
    assert {name: ended.code for name, ended in running.ended.items()} == {"a": 0, "b": 0}


def test_a_second_ctrl_c_ends_all_at_once(run):
    press = interrupt(run, when="a started, b started", again_when="a asked")
    begun = time.monotonic()
    code, _, said = run("a stays 60 0", "b stays 60 0", while_=press)
    assert time.monotonic() - begun < 20
    assert code == 130
    assert "b asked" not in said


def test_a_second_ctrl_c_ends_what_does_not_hear_it(run, monkeypatch):
    monkeypatch.setattr(supervisor, "KILL_SECS", 0.1)
    press = interrupt(run, when="a started, b started", again_when="a asked")
    begun = time.monotonic()
    code, _, said = run("a stays 60 0 deaf", "b stays 60 0", while_=press)
    assert time.monotonic() - begun < 20
    assert (code, "ended at once" in "".join(said)) == (130, False)


def test_one_that_was_suspended_stops_too(run):
    code, running, said = run("a stays 0 0 suspends", while_=interrupt(run, when="a started"))
    assert (code, running.ended["a"].code, said[-1]) == (0, 0, "a stopped")


def test_one_that_takes_too_long_does_not_keep_the_next_from_stopping(run, monkeypatch):
    monkeypatch.setattr(supervisor, "STOP_SECS", 0.1)
    press = interrupt(run, when="a started, b started", again_when="b stopped")
    _, running, said = run("a stays 60 0", "b stays 0 0", while_=press)
    assert said[2:5] == ["a asked", "b asked", "b stopped"]
    assert running.ended["b"].code == 0


@pytest.mark.parametrize("code", [1, 2, 3])
def test_what_starting_again_does_not_cure_ends_the_others_with_its_code(run, code: int):
    given, running, said = run(f"a {code}", "b stays 0 0")
    assert (given, running.ended["b"].code, run.starts) == (code, 0, {"a": 1, "b": 1})
    assert said == [] or said[-1] in ("b stopped", "b started")  # stopped before it knew how


def test_what_failed_is_started_again_loudly_and_the_others_do_not_notice(run, caplog):
    press = interrupt(run, when="b started, b started")
    caplog.set_level("INFO")
    code, running, said = run(
        "a 4 4 0", "b stays 0 0", while_=lambda: (until(lambda: run.starts.get("a") == 3), press())
    )
    assert (code, run.starts) == (0, {"a": 3, "b": 1})
    again = [record for record in caplog.records if record.message == "starting again"]
    assert [record.fields["wait_secs"] for record in again] == [0.01, 0.02]
    assert {record.fields["member"] for record in again} == {"a"}
    assert said == ["b started", "b asked", "b stopped"]
    assert running.ended["a"].code == 0


def test_what_hangs_is_ended_and_started_again_and_who_never_told_anything_is_not(run, caplog):
    press = interrupt(run, when="a started, b started", starts=2)
    code, running, _ = run("a stays 0 0 tells", "b stays 0 0", while_=press, silent_secs=0.3)
    assert (code, run.starts["a"] >= 2, run.starts["b"]) == (0, True, 1)
    said = [record.fields["member"] for record in caplog.records if "hangs" in record.message]
    assert set(said) == {"a"}
    assert running.ended["a"].code == 0


def test_a_stop_while_one_waits_for_its_next_start_ends_well(run, monkeypatch):
    monkeypatch.setattr(supervisor, "FIRST_WAIT_SECS", 50.0)
    press = interrupt(run, when="b started", starts=1)
    code, _, said = run("a 4", "b stays 0 0", while_=press)
    assert (code, said[-1]) == (0, "b stopped")


def test_one_that_is_done_leaves_the_others_and_the_worst_code_counts(run):
    press = interrupt(run, when="b started, c started")
    code, running, _ = run("a 0", "b stays 0 4", "c stays 0 0", while_=press)
    assert code == 4
    assert {name: ended.code for name, ended in running.ended.items()} == {"a": 0, "b": 4, "c": 0}


def test_all_that_are_done_end_it(run):
    assert run("a 0", "b 0")[0] == 0


def test_a_member_is_heard_to_its_end_though_who_hears_fails() -> None:
    heard: list[bytes] = []

    def hear(line: bytes) -> None:
        heard.append(line)
        raise BrokenPipeError

    reading, writing = os.pipe()
    os.write(writing, b"one\ntwo\n")
    os.close(writing)
    assert group._each_line(os.fdopen(reading, "rb"), hear) == b"two"
    assert heard == [b"one", b"two"]
