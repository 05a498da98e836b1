"""An error that was planned ends in its own words; a real panic is shown."""

from __future__ import annotations

import os

import pytest

from pipeline.runtime.panics import held_back, without_passed_on
from tests.kit.programs.run import Bench

PASSED_ON = """
thread '<unnamed>' panicked at src/inputs.rs:331:25:
Box<dyn Any>
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""
TRACED = """
thread 'timely:work-0' (4711) panicked at src/run.rs:128:17:
Box<dyn Any>
stack backtrace:
   0: std::panicking::begin_panic
   1: bytewax::run::run_main
             at ./csu/../sysdeps/nptl/libc_start_call_main.h:58:16
  51: _start
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
"""
REAL = """
thread '<unnamed>' panicked at src/recovery.rs:12:3:
called `Option::unwrap()` on a `None` value
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""


@pytest.mark.parametrize("panic", [PASSED_ON, TRACED, PASSED_ON.lstrip("\n")])
def test_a_panic_that_carries_an_exception_on_is_left_out(panic: str) -> None:
    said = f'{{"message":"a"}}\n{panic}{{"message":"b"}}\n'
    assert without_passed_on(said.encode()) == b'{"message":"a"}\n{"message":"b"}\n'


def test_a_real_panic_is_shown() -> None:
    assert without_passed_on((PASSED_ON + REAL).encode()) == REAL.encode()


def test_what_is_held_back_is_written_at_the_end_and_nothing_is_held_without_an_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with held_back():
        os.write(2, PASSED_ON.encode())
    assert capfd.readouterr().err == PASSED_ON
    with held_back() as hold:
        os.write(2, b"before\n")
        hold()
        hold()
        os.write(2, PASSED_ON.encode())
        os.write(2, b"after\n")
        assert capfd.readouterr().err == "before\n"
    assert capfd.readouterr().err == "after\n"


def test_a_recording_that_shrank_is_told_without_a_panic(bench: Bench) -> None:
    bench.append({"id": "e1"}, {"id": "e2"})
    bench.run()
    bench.stream.write_text("{}\n")
    check_plain(bench, 3, "put the old file back")


def test_an_error_of_a_step_behind_the_source_is_told_without_a_panic(bench: Bench) -> None:
    bench.append({"id": "e1"})
    bench.run()
    for store in bench.state.glob("shards/*/*.mdb"):
        store.write_bytes(b"no store")
    check_plain(bench, 3, "shard")


def check_plain(bench: Bench, code: int, told: str) -> None:
    bench.environment["RUST_BACKTRACE"] = "1"
    said = bench.refused(code)
    assert told in said.splitlines()[-1]
    assert said.splitlines()[-1].startswith("error: ")
    assert "panicked" not in said
    assert "backtrace" not in said
