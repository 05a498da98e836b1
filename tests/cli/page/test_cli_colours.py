"""Colours and what moves the cursor: on a terminal, never in a pipe, not where a person has said no."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from pipeline.cli.app import run
from pipeline.telemetry import log, screen
from pipeline.telemetry.screen import has_colours, is_live

COLOUR = re.compile(r"\x1b\[(?:3[0-7]|9[0-7])m")


class Pty:
    """A terminal of 60 columns: a real one."""

    def __init__(self) -> None:
        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        self.stream = os.fdopen(follower, "w")

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have all that is said go there."""
        with redirect_stdout(self.stream), redirect_stderr(self.stream):
            yield

    def shown(self) -> str:
        self.stream.flush()
        os.set_blocking(self._leader, False)
        found = b""
        try:
            while part := os.read(self._leader, 65536):
                found += part
        except BlockingIOError:
            pass
        return found.decode().replace("\r\n", "\n")

    def close(self) -> None:
        self.stream.close()
        os.close(self._leader)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pty]:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    found = Pty()
    yield found
    found.close()


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "webhooks/a.yaml").write_text("id: a\ntrigger: {evnts: [Purchase]}\n")
    return tmp_path


def test_a_terminal_shows_what_is_wrong_in_red_and_as_wide_as_it_is(terminal: Pty, broken: Path):
    with terminal.taken():
        assert run(["check", "-c", str(broken)]) == 1
    shown = terminal.shown()
    assert "\x1b[31merror[unknown-field]\x1b[0m" in shown
    assert "\x1b[31m" in shown.split("evnts")[2], "the carets"
    plain = re.sub(r"\x1b\[\d*m", "", shown)
    assert max(len(line) for line in plain.splitlines() if "/" not in line) <= 60


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colours_where_a_person_or_the_terminal_wants_none(
    terminal: Pty, broken: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv(name, value)
    with terminal.taken():
        for words in (["check", "-c", str(broken)], ["explain"], ["statsu"], ["version"], ["config", "show"]):
            run(words)
        log.setup("info")
        log.get("x").error("bad")
    log.setup("warning")
    shown = terminal.shown()
    assert "error" in shown
    assert COLOUR.findall(shown) == []
    assert ("\x1b" in shown) == (name == "NO_COLOR" and "\r\x1b[J" in shown)


def test_a_pipe_gets_none_unless_it_is_forced(hookline, broken: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for words in (["check", "-c", broken], ["webhook", "list", "-c", broken], ["run", "-c", broken]):
        said = hookline(*words)
        assert "\x1b" not in said.out + said.err
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[31merror[unknown-field]" in hookline("check", "-c", broken).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in hookline("check", "-c", broken).out, "who says no wins"


def test_a_dumb_terminal_is_not_written_over(terminal: Pty, monkeypatch: pytest.MonkeyPatch):
    assert is_live(terminal.stream)
    assert has_colours(terminal.stream)
    monkeypatch.setenv("TERM", "dumb")
    assert not is_live(terminal.stream)
    with terminal.taken():
        screen.write("a line")
    assert terminal.shown() == "a line\n"
