"""A status on the last line of the terminal, and log lines above it."""

from __future__ import annotations

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
    clear, status = "\r\x1b[2K", "0123456789012345678"
    assert capsys.readouterr().err == f"{clear}{status}{clear}logged\n{status}{clear}plain\n"
