"""Configs are tried in another process: bombs end it or are findings, and the next is tried all the same."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.compile.trial.helper import Helper, NoTrial, Standby
from pipeline.compile.trial.trial import Trial
from pipeline.config.files import JobDefaults, read_config
from pipeline.model.errors import ConfigError, Stopped
from pipeline.model.process.bounds import Bounds
from tests.kit.programs.run import has_ended, started, until

HOOK = "id: a\ntrigger: {events: [X]}\nrequest: {url: 'https://x.example/', headers: {T: '${TOKEN}'}}\n"
RAW = "{% raw %}x{% endraw %}" * 2_900
HEAVY = HOOK + "  body:\n" + "".join(f"    k{n}: '{RAW}'\n" for n in range(15))
"""Half a second of work, and nothing wrong with it. Processor time is bounded by whole seconds."""
HEAVY = HEAVY.replace("request: {", "request:\n  ").replace("/', headers: {T: '${TOKEN}'}}", "/'")
LISTED = HOOK.replace("[X]", "[X], where: [{event.id: {in: {file: ids}}}]")
DEFAULTS = JobDefaults()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "webhooks/a.yaml").write_text(HOOK)
    return tmp_path


@pytest.fixture
def trial() -> Iterator[Trial]:
    made = Trial(environ={"TOKEN": "canary", "OTHER": "nobody asks for it"})
    yield made
    made.close()


def pid(trial: Trial) -> int:
    assert trial._standby.helper is not None
    return trial._standby.helper._process.pid


@pytest.mark.parametrize(
    ("module", "secs", "told"),
    [
        ("tests.kit.programs.silent", 0.1, "it has not begun within 0.1 s"),
        ("no.such.module", 60.0, "it ends with 1 before"),
    ],
)
def test_a_process_that_does_not_begin_is_not_waited_for(module: str, secs: float, told: str) -> None:
    helper = Helper(module, lambda asked: None, secs)
    with pytest.raises(NoTrial, match=told):
        helper.ask({}, Bounds(file_secs=1.0, memory_bytes=1 << 30, still_secs=1.0))
    assert helper.is_gone()
    helper.close()


def test_what_is_good_comes_back_as_it_was_read_and_the_process_stays(trial: Trial, folder: Path) -> None:
    tried = trial.read(folder, DEFAULTS)
    assert tried.text == read_config(folder, environ={"TOKEN": "canary"})
    assert b"canary" not in Path(f"/proc/{pid(trial)}/environ").read_bytes()
    first = pid(trial)
    (folder / "webhooks/a.yaml").write_text(HOOK.replace("events", "evnts"))
    (found,) = trial.read(folder, DEFAULTS).findings
    assert "did you mean `events`" in str(found.hint)
    (folder / "webhooks/a.yaml").write_text(HOOK.replace("TOKEN", "UNKNOWN"))
    assert [one.code for one in trial.read(folder, DEFAULTS).findings] == ["missing-secret"]
    assert pid(trial) == first
    with pytest.raises(ConfigError, match="there is no such config directory"):
        trial.read(folder / "gone", DEFAULTS)


def test_names_that_are_no_utf8_come_and_go_like_others(trial: Trial, folder: Path) -> None:
    odd = folder.rename(os.fsdecode(os.fsencode(folder) + b"\xff"))
    tried = trial.read(odd, DEFAULTS)
    assert (tried.text, tried.root) == (read_config(odd, environ={"TOKEN": "canary"}), str(odd))
    first = pid(trial)
    (odd / "webhooks/a.yaml").rename(os.fsdecode(os.fsencode(odd) + b"/webhooks/\xfe.yaml"))
    assert [one.file for one in trial.read(odd, DEFAULTS).findings] == [r"webhooks/\udcfe.yaml"]
    assert pid(trial) == first


def test_a_secret_that_is_gone_is_missed_in_a_file_that_is_the_same(trial: Trial, folder: Path) -> None:
    (folder / "webhooks/a.yaml").write_text(HOOK.replace("${TOKEN}", "${file:token}"))
    (folder / "token").write_text("t")
    assert trial.read(folder, DEFAULTS).text is not None
    (folder / "token").unlink()
    assert trial.read(folder, DEFAULTS).text is None


@pytest.mark.parametrize(
    ("bounds", "text", "said"),
    [
        (Bounds(config_secs=0.1, more_secs=0), HEAVY, "all files together more than 0.1 s"),
        (Bounds(memory_bytes=64 << 20), LISTED, "more than 64 MiB of memory"),
    ],
    ids=["time", "memory"],
)
def test_what_takes_too_much_is_a_finding_that_names_the_file(
    folder: Path, bounds: Bounds, text: str, said: str
) -> None:
    trial = Trial(bounds, {"TOKEN": "t"})
    dear = [folder / f"webhooks/b{number}.yaml" for number in range(6)]
    for path in dear:
        path.write_text(text)
    (folder / "ids").write_text("".join(f"id-{number}\n" for number in range(1_000_000)))
    try:
        with pytest.raises(ConfigError, match="list file") as caught:
            trial.read(folder, DEFAULTS)
        named = [path for path in dear if f"{path}: error[config-too-expensive]" in str(caught.value)]
        assert len(named) == 1
        assert said in str(caught.value)
        for path in dear:
            path.unlink()
        trial._bounds = Bounds()
        assert trial.read(folder, DEFAULTS).text is not None
    finally:
        trial.close()


def test_one_that_was_killed_is_replaced_and_one_that_stands_still_is_given_up(folder: Path) -> None:
    trial = Trial(Bounds(still_secs=0.1), {"TOKEN": "t"})
    try:
        trial.read(folder, DEFAULTS)
        os.kill(pid(trial), signal.SIGKILL)
        assert trial.read(folder, DEFAULTS).text is not None
        os.kill(pid(trial), signal.SIGSTOP)
        with pytest.raises(ConfigError, match=r"takes more than 0.1 s: given up"):
            trial.read(folder, DEFAULTS)
    finally:
        trial.close()


def test_where_no_process_can_be_had_that_is_said(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for program, why in (("/nowhere/python", "No such file"), ("/bin/false", "before it begins")):
        monkeypatch.setattr(sys, "executable", program)
        with pytest.raises(NoTrial, match=why):
            Trial().read(folder, DEFAULTS)


def test_a_folder_of_the_same_name_where_the_job_was_started_is_not_taken_for_ours(
    trial: Trial, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pipeline").mkdir()
    (folder / "pipeline/__init__.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(folder)
    assert trial.read(Path(), DEFAULTS).text is not None


def test_it_ends_with_the_process_that_started_it(folder: Path) -> None:
    program = (
        "import pathlib, sys, time; from pipeline.compile.trial.trial import *\n"
        f"trial = Trial(); trial.read(pathlib.Path({str(folder)!r}), JobDefaults())\n"
        "print(trial._standby.helper._process.pid, flush=True); time.sleep(60)"
    )
    with started(sys.executable, "-c", program) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        until(lambda: has_ended(child))


def test_who_is_told_to_stop_while_the_process_begins_does_not_hear_that_none_can_be_had():
    standby = Standby("pipeline.compile.trial.child", lambda asked: None)
    told: list[BaseException] = []

    def ask() -> None:
        try:
            standby.ask({"directory": "nowhere", "defaults": {}}, Bounds(), "nowhere")
        except BaseException as error:
            told.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: standby.helper is not None)
    standby.stop()
    asking.join(30)
    standby.close()
    assert [type(one) for one in told] == [Stopped]
