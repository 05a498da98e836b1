"""One line per happening, in one form for people and one for machines."""

from __future__ import annotations

import io
import json
import logging
import time
import warnings
from collections.abc import Iterator

import pytest

from pipeline.telemetry import log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = before
    root.setLevel(level)
    log._hidden.clear()


def logged(format: str = "json", level: str = "info", *, terminal: bool = False) -> io.StringIO:
    stream = Terminal() if terminal else io.StringIO()
    log.setup(level, format, stream=stream)
    return stream


def test_json_lines_carry_the_fields():
    stream = logged()
    log.get("a.b").warning("broker is back", broker="k1", secs=2.5)
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warn",
        "logger": "a.b",
        "message": "broker is back",
        "broker": "k1",
        "secs": 2.5,
    }


def test_auto_is_for_people_on_a_terminal_and_for_machines_elsewhere():
    terminal, file = logged("auto", terminal=True), io.StringIO()
    log.get("a").info("listening", port=1)
    assert "listening  port=1" in terminal.getvalue()
    log.setup("info", "auto", stream=file)
    log.get("a").info("listening", port=1)
    assert json.loads(file.getvalue())["port"] == 1
    assert terminal.getvalue().count("listening") == 1


@pytest.mark.parametrize("format", ["json", "console"])
def test_one_happening_stays_one_line_whatever_it_holds(format: str):
    stream = logged(format)
    log.get("a").info("got\nthis", value="x\r\ny\x1b[31m\x00", other={"k": ["\n", 2**80, b"\xff", "\ud800"]})
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


def test_times_are_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch):
    """As all that `tap` and `status` show: lines of the log must not seem an hour from those."""
    record = logging.makeLogRecord({"msg": "read", "created": 1_764_500_645.0})
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    try:
        time.tzset()
        assert log.ConsoleFormatter(colour=False).format(record) == "11:04:05 info  read"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_levels_below_the_chosen_one_are_silent():
    stream = logged(level="error")
    log.get("a").warning("quiet")
    log.get("a").error("loud")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_an_exception_is_named_with_its_place_and_traced_only_at_debug():
    for level, traced in [("info", False), ("debug", True)]:
        stream = logged(level=level)
        try:
            raise ValueError("broken")
        except ValueError as error:
            log.get("a").error("cannot go on", exc_info=error)
        line = json.loads(stream.getvalue())
        assert line["error"] == "ValueError: broken"
        assert line["at"].startswith("test_log.py:")
        assert ("traceback" in line) is traced


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_hidden_secret_is_masked_in_texts_fields_and_errors(format: str):
    stream = logged(format, "debug")
    log.hide("hunter2-secret")
    try:
        raise ValueError("token hunter2-secret")
    except ValueError as error:
        log.get("a").error(
            "with hunter2-secret", exc_info=error, url="?k=hunter2-secret", deep=[{"x": "hunter2-secret"}]
        )
    text = stream.getvalue()
    assert "***" in text
    assert "with ***" in text
    assert "hunter2-secret" not in text


def test_warnings_of_libraries_come_out_the_same_way():
    stream = logged()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        log.setup("info", "json", stream=stream)
        warnings.warn("old call", stacklevel=1)
    assert "old call" in json.loads(stream.getvalue())["message"]


def test_setting_up_twice_does_not_write_twice():
    logged()
    stream = logged()
    log.get("a").info("once")
    assert stream.getvalue().count("once") == 1
