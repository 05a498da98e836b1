"""A status on the last line of the terminal, and log lines above it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pipeline.telemetry import screen


def test_a_line_is_written_above_the_status_which_is_cut_to_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "20")
    screen.show("0123456789" * 3)
    screen.write("logged")
    screen.show("")
    screen.write("plain")
    clear, status = "\r\x1b[J", "0123456789012345678"
    assert capsys.readouterr().err == f"{clear}{status}{clear}logged\n{status}{clear}plain\n"


def test_the_cursor_goes_back_to_the_first_of_several_lines_so_that_others_write_from_there(
    capsys: pytest.CaptureFixture[str],
):
    screen.show("collect  1\njob      1")
    screen.write("logged")
    screen.show("")
    standing = "collect  1\njob      1\r\x1b[1A"
    assert capsys.readouterr().err == f"\r\x1b[J{standing}\r\x1b[Jlogged\n{standing}\r\x1b[J"


BESIDE_A_PROMPT = """
import os, pty, sys
from pipeline.telemetry import screen
leader, follower = pty.openpty()
os.login_tty(follower)
screen.show("seen")
if child := os.fork():
    os.waitpid(child, 0)
    print(os.read(leader, 100), file=os.fdopen(int(sys.argv[1]), "w"))
else:
    os.setpgid(0, 0)
    screen.show("of a job that was started with &")
"""


def test_a_job_in_the_background_shows_no_status_where_somebody_types():
    read, write = os.pipe()
    command = [sys.executable, "-c", BESIDE_A_PROMPT, str(write)]
    subprocess.run(command, check=True, timeout=20, pass_fds=[write])
    os.close(write)
    with os.fdopen(read) as said:
        assert said.read() == repr(b"\r\x1b[Jseen") + "\n"
