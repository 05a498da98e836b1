"""What is told of an edit by the part of a job that takes edits up."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.compile.versions import Versions
from pipeline.config.files import read_config
from pipeline.config.job import load_pipeline
from pipeline.config.watch import look
from pipeline.language.secrets import Secrets
from pipeline.runtime.background import reload
from pipeline.runtime.background.reload import MOST_SECS, POLL_SECS, ConfigWatcher, pause_after
from tests.kit.programs.run import until

HOOK = "id: a\ntrigger: {{events: [{event}]}}\nrequest: {{url: 'https://x.example/'}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    (folder / "webhooks").mkdir(parents=True)
    (folder / "webhooks/a.yaml").write_text(HOOK.format(event="X"))
    return folder


@pytest.fixture
def watcher(folder: Path, tmp_path: Path) -> Iterator[ConfigWatcher]:
    seen = look(folder)
    snapshot = compile_config(read_config(folder), secrets=Secrets(base=folder)).require()
    versions = Versions(tmp_path / "versions", snapshot, lambda specs: None)
    watcher = ConfigWatcher(folder, load_pipeline(folder).require(), versions, seen=seen)
    yield watcher
    watcher.stop()


def runs(watcher: ConfigWatcher) -> list[str]:
    return [str(webhook.data["trigger"]) for webhook in watcher._versions.latest.webhooks]


def test_an_edit_between_the_reading_and_the_start_is_taken_up(watcher: ConfigWatcher, folder: Path) -> None:
    (folder / "webhooks/a.yaml").write_text(HOOK.format(event="Longer"))
    watcher.start()
    until(lambda: runs(watcher) == ["{'events': ['Longer']}"])


def test_without_a_process_to_try_it_in_an_edit_is_taken_up_all_the_same_and_that_is_said(
    watcher: ConfigWatcher, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    watcher.start()
    (folder / "webhooks/a.yaml").write_text(HOOK.format(event="Other"))
    until(lambda: runs(watcher) == ["{'events': ['Other']}"])
    (folder / "webhooks/a.yaml").write_text(HOOK.format(event="''"))
    until(lambda: "no event name" in watcher.problems)
    assert "the config is read in the job itself" in caplog.text


def test_an_edit_that_a_full_disk_does_not_take_is_told_once_and_taken_up_when_there_is_room(
    watcher: ConfigWatcher, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reload, "MOST_SECS", POLL_SECS)
    tries = 0

    def full(snapshot: Snapshot) -> None:
        nonlocal tries
        tries += 1
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(watcher._versions, "install", full)
        watcher.start()
        (folder / "webhooks/a.yaml").write_text(HOOK.format(event="Other"))
        until(lambda: tries == 3)
        assert "is tried again: [Errno 28] No space left" in watcher.problems
        assert caplog.text.count("config watcher failed") == 1
    until(lambda: runs(watcher) == ["{'events': ['Other']}"] and not watcher.problems)


def test_a_stop_does_not_wait_for_a_trial(watcher: ConfigWatcher, folder: Path) -> None:
    values = "".join(f"    k{number}: '{{{{ event.id }}}}'\n" for number in range(19_000))
    (folder / "webhooks/b.yaml").write_text(HOOK.format(event="X").replace("id: a", "id: b") + "#\n")
    for name in "cdefgh":
        text = f"id: {name}\ntrigger: {{events: [X]}}\nrequest:\n  url: https://x.example/\n  body:\n{values}"
        (folder / f"webhooks/{name}.yaml").write_text(text)
    watcher.start()
    until(lambda: (child := watcher._trial._standby.helper) is not None and child._at())
    watcher.stop()
    assert not watcher._thread.is_alive()
    assert runs(watcher) == ["{'events': ['X']}"]


@pytest.mark.parametrize(
    ("look_secs", "is_pending", "pause"),
    [(0.0001, False, POLL_SECS), (0.001, False, 1.0), (0.001, True, POLL_SECS), (1.0, False, MOST_SECS)],
)
def test_a_directory_of_many_files_is_looked_at_less_often_unless_an_edit_comes_to_rest(
    look_secs: float, is_pending: bool, pause: float
) -> None:
    assert pause_after(look_secs, is_pending=is_pending) == pytest.approx(pause)
