"""The commands of the README."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.jobs.beside import started
from pipeline.cli.jobs.demo import demo
from pipeline.cli.jobs.demo_console import running
from pipeline.model.errors import UsageError
from pipeline.model.process.lifeline import Lifeline
from tests.kit.programs.run import Bench, until
from tests.kit.tour import ROOT, run, script


def test_the_demo_ends_with_every_request_at_the_receiver(tmp_path: Path):
    for folder in ("config", "recordings", "docs"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    # `make run` sets up .venv and then calls the program; the next has a test.
    changes = {"make run": "hookline demo", "make console": "true"}
    done = run(script("demo"), tmp_path, changes)
    assert done.returncode == 0, done.stderr
    assert "12,000 records read" in done.stdout + done.stderr
    assert "189 with a good signature" in done.stdout + done.stderr
    assert (tmp_path / ".demo" / "arrived.jsonl").stat().st_size > 100_000


def test_make_calls_these_programs():
    text = (ROOT / "Makefile").read_text()
    assert "hookline demo" in text
    assert "hookline demo --console" in text


def test_the_demo_of_the_console_is_of_a_shop_that_goes_on(tmp_path: Path):
    folder = tmp_path / "console"
    with running(folder, ["--listen", "127.0.0.1:0"], per_sec=100) as link:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/login#token=[\w-]{32}", link)
        stream = folder / "stream.jsonl"
        begun = stream.stat().st_size
        until(lambda: stream.stat().st_size > begun)
        bench = Bench(folder)
        until(lambda: bench.counts("plan-changed")["delivered"] and bench.counts("pricing-interest")["dead"])
        with pytest.raises(UsageError, match="a demo is running"):  # beginning anew would delete its files
            demo.main(["--console", "--folder", str(tmp_path)], standalone_mode=False)


@pytest.mark.parametrize("words", [["--foler"], ["--console", "--lisen"]])
def test_a_wrong_flag_of_the_demo_is_wrong_usage_and_the_last_thing_said(tmp_path: Path, words: list[str]):
    command = [sys.executable, "-m", "pipeline.cli", "demo", "--folder", str(tmp_path / "demo"), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "did you mean" in done.stderr.splitlines()[-1]) == (2, True), done.stderr


def test_what_a_program_of_the_demo_says_at_its_end_is_told(tmp_path: Path):
    words, log = ("--listen", "192.0.2.1:1"), tmp_path / "receiver.log"
    with (
        contextlib.closing(Lifeline()) as lifeline,
        pytest.raises(UsageError) as found,
        started("receiver", *words, log=log, lifeline=lifeline, until="listening on "),
    ):
        pass
    assert found.value.shown().startswith("error: cannot listen on 192.0.2.1:1: ")


def test_what_the_demo_has_started_ends_with_it_however_it_ends(tmp_path: Path):
    words = [sys.executable, "-m", "pipeline.cli", "demo", "--folder", str(tmp_path / "demo"), "--console"]
    with subprocess.Popen(
        [*words, "--", "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "good for one log-in" in process.stderr.readline()
        started = [
            int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ]
        assert len(started) == 3
        process.kill()
    until(lambda: not any(map(_lives, started)), secs=30)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""  # of one that nobody has waited for
    except OSError:
        return False
