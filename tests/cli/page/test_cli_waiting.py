"""Ctrl-C while a verb waits for brokers that do not answer, and config directories that are none."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.kit.programs.forge import forge
from tests.kit.programs.run import HOOKLINE, Bench, finished, until

CLOSED = "127.0.0.1:1"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, settings=f"source: {{kafka: {{brokers: '{CLOSED}', events: [events]}}}}\n")
    bench.webhook("w", "https://w.test/")
    bench.append({"id": "e1"})
    return bench


@pytest.mark.parametrize("verb", ["run", "record", "produce"])
def test_a_verb_that_waits_for_brokers_ends_at_once_and_well(bench: Bench, verb: str) -> None:
    words: dict[str, list[object]] = {
        "run": ["run", "-c", bench.config, "--state", bench.state],
        "record": ["record", "-c", bench.config, "--out", bench.folder / "rec"],
        "produce": ["produce", bench.stream, "--brokers", CLOSED],
    }
    log = bench.folder / "stderr"
    log.touch()
    job = forge().start([*map(str, words[verb])], bench.environ, log, log)
    try:
        until(lambda: "Kafka is unreachable" in log.read_text())
        job.send_signal(signal.SIGINT)
        assert job.wait(5) == 0
    finally:
        job.kill()
        job.wait()
    said = log.read_text().splitlines()
    assert said[-1] == f"stopped while waiting for Kafka at {CLOSED}; nothing was done"
    assert not [line for line in said if "error" in line or "panicked" in line]


def test_a_config_directory_that_is_not_there_is_told_with_what_to_do(bench: Bench) -> None:
    for words in (["run"], ["check"], ["test"]):
        code = 2 if words == ["test"] else 1
        _, said = finished(HOOKLINE, *words, "-c", bench.folder / "nowhere", code=code)
        assert "there is no such config directory: name one with -c, or begin one with" in said


def test_a_recording_given_as_the_config_is_wrong_usage(bench: Bench) -> None:
    assert "is no config: name the directory" in finished(HOOKLINE, "check", "-c", bench.stream, code=2)[1]


def test_a_file_in_place_of_the_state_directory_is_told_as_such(bench: Bench) -> None:
    bench.settings = "epoch: 1s"
    bench.webhook("w", "https://w.test/")
    bench.state.write_text("")
    assert "a file is in its place" in bench.refused(3)
