from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.config.files import ConfigText, read_config
from pipeline.config.watch import PATIENCE_SECS, SETTLE_SECS, Watcher, second_look
from pipeline.model.errors import ConfigError
from tests.kit.machine.clock import HandClock

WEBHOOK = "id: {}\ntrigger: {{events: [X], where: {{event.name: {{in: {{file: lists/l.txt}}}}}}}}\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    base = tmp_path / "config"
    (base / "webhooks").mkdir(parents=True)
    (base / "lists").mkdir()
    (base / "webhooks" / "a.yaml").write_text(WEBHOOK.format("a"))
    (base / "lists" / "l.txt").write_text("one\n")
    return base


class Watched:
    """A watcher whose first look is over, and a clock to move."""

    def __init__(self, directory: Path) -> None:
        self.clock = HandClock()
        self.watcher = Watcher(directory, read_config(directory).hash, clock=self.clock)
        assert self.watcher.poll() is None

    def settle(self) -> object:
        """Poll every 100 ms until something is told, for a second at most."""
        for _ in range(11):
            found = self.watcher.poll()
            if found is not None:
                return found
            self.clock.now += 0.1
        return None


@pytest.fixture
def watched(directory: Path) -> Watched:
    return Watched(directory)


def touch_later(path: Path) -> None:
    """Two writes within one tick of the file system's clock must not look alike."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1_000_000))


def names(found: object) -> set[str]:
    assert isinstance(found, ConfigText)
    return set(found.files)


@pytest.mark.parametrize("is_written_on", [True, False])
def test_what_is_half_written_at_a_start_is_read_again(directory: Path, is_written_on: bool) -> None:
    path, reads = directory / "webhooks" / "a.yaml", []

    def read() -> bool:
        reads.append(path.read_text())
        if is_written_on:
            path.write_text("id: whole\n")
        return reads[-1] == "id: whole\n"

    path.write_text("id: wh")
    assert second_look(directory, read, bool) is is_written_on
    assert len(reads) == 1 + is_written_on


def test_nothing_is_told_while_nothing_changes(watched: Watched) -> None:
    assert watched.settle() is None


def test_a_new_a_changed_and_a_removed_file_are_told_within_a_second(
    watched: Watched, directory: Path
) -> None:
    (directory / "webhooks" / "b.yaml").write_text(WEBHOOK.format("b"))
    assert "webhooks/b.yaml" in names(watched.settle())
    (directory / "webhooks" / "a.yaml").write_text(WEBHOOK.format("changed"))
    found = watched.settle()
    assert isinstance(found, ConfigText)
    assert "id: changed" in found.files["webhooks/a.yaml"]
    (directory / "webhooks" / "b.yaml").unlink()
    assert "webhooks/b.yaml" not in names(watched.settle())


def test_list_files_and_labels_are_watched_too(watched: Watched, directory: Path) -> None:
    (directory / "lists" / "l.txt").write_text("one\ntwo\n")
    found = watched.settle()
    assert isinstance(found, ConfigText)
    assert found.files["lists/l.txt"] == "one\ntwo\n"
    (directory / "labels").mkdir()
    (directory / "labels" / "x.yaml").write_text("name: x\nevents: y\n")
    assert "labels/x.yaml" in names(watched.settle())


def test_a_file_of_a_plain_setting_is_watched_too(watched: Watched, directory: Path) -> None:
    (directory / "host").write_text("https://a.example")
    text = WEBHOOK.format("a") + "request: {url: '${file:host}/in'}\n"
    (directory / "webhooks" / "a.yaml").write_text(text)
    watched.settle()
    (directory / "host").write_text("https://b.example\n")
    found = watched.settle()
    assert isinstance(found, ConfigText)
    assert found.settings == {"file:host": "https://b.example"}


def test_a_list_file_that_appears_later_is_noticed(tmp_path: Path) -> None:
    base = tmp_path / "config"
    (base / "webhooks").mkdir(parents=True)
    (base / "webhooks" / "a.yaml").write_text(WEBHOOK.format("a"))
    watched = Watched(base)
    (base / "lists").mkdir()
    (base / "lists" / "l.txt").write_text("one\n")
    assert "lists/l.txt" in names(watched.settle())


def test_defaults_of_the_job_count_as_config(watched: Watched, directory: Path) -> None:
    (directory / "pipeline.yaml").write_text("exclude: [internal]\n")
    found = watched.settle()
    assert isinstance(found, ConfigText)
    assert found.defaults.exclude == ("internal",)


def test_an_edit_through_a_temporary_file_is_told_once(watched: Watched, directory: Path) -> None:
    partial = directory / "webhooks" / ".a.yaml.swp"
    partial.write_text(WEBHOOK.format("new"))
    assert watched.settle() is None
    partial.replace(directory / "webhooks" / "a.yaml")
    assert isinstance(watched.settle(), ConfigText)
    assert watched.settle() is None


def test_an_edit_in_place_that_keeps_the_size_and_sets_the_old_time_is_one(
    watched: Watched, directory: Path
) -> None:
    path = directory / "webhooks" / "a.yaml"
    before = path.stat()
    text = WEBHOOK.format("b")
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # the next tick of the file system's clock
        path.write_text(text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = watched.settle()
    assert isinstance(found, ConfigText)
    assert found.files["webhooks/a.yaml"] == text


def test_a_directory_swapped_by_symlink_is_one_change(tmp_path: Path, directory: Path) -> None:
    first = directory.rename(tmp_path / "..v1")
    second = tmp_path / "..v2"
    (second / "webhooks").mkdir(parents=True)
    (second / "webhooks" / "a.yaml").write_text(WEBHOOK.format("v2"))
    # The same size and time as before: only the inode tells them apart.
    before = (first / "webhooks" / "a.yaml").stat()
    (second / "webhooks" / "a.yaml").write_text(WEBHOOK.format("b"))
    os.utime(second / "webhooks" / "a.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    mounted = tmp_path / "mounted"
    mounted.symlink_to(first)
    watched = Watched(mounted)
    link = tmp_path / "..data_tmp"
    link.symlink_to(second)
    link.replace(mounted)
    found = watched.settle()
    assert isinstance(found, ConfigText)
    assert found.files["webhooks/a.yaml"] == WEBHOOK.format("b")
    assert watched.settle() is None


def test_changes_are_told_once_they_have_come_to_rest(watched: Watched, directory: Path) -> None:
    path = directory / "webhooks" / "a.yaml"
    path.write_text(WEBHOOK.format("one"))
    assert watched.watcher.poll() is None
    watched.clock.now += SETTLE_SECS / 2
    path.write_text(WEBHOOK.format("twotwo"))
    assert watched.watcher.poll() is None
    watched.clock.now += SETTLE_SECS / 2
    assert watched.watcher.poll() is None
    watched.clock.now += SETTLE_SECS
    assert isinstance(watched.watcher.poll(), ConfigText)


def test_a_file_that_is_deleted_and_written_anew_was_never_gone(watched: Watched, directory: Path) -> None:
    file = directory / "webhooks" / "a.yaml"
    text = file.read_text()
    file.unlink()
    assert watched.watcher.poll() is None
    watched.clock.now += PATIENCE_SECS - 0.01
    assert watched.watcher.poll() is None
    file.write_text(text + "# new\n")
    assert watched.watcher.poll() is None
    watched.clock.now += SETTLE_SECS
    told = watched.watcher.poll()
    assert isinstance(told, ConfigText)
    assert "# new" in told.files["webhooks/a.yaml"]


def test_a_directory_that_never_rests_is_read_anyway(watched: Watched, directory: Path) -> None:
    path = directory / "webhooks" / "a.yaml"
    path.write_text(WEBHOOK.format("moving"))
    start = watched.clock.now
    while (found := watched.watcher.poll()) is None:
        watched.clock.now += 0.1
        touch_later(path)
        assert watched.clock.now < start + 1
    assert isinstance(found, ConfigText)
    assert watched.clock.now >= start + PATIENCE_SECS


def test_a_touched_file_with_the_same_content_is_no_change(watched: Watched, directory: Path) -> None:
    touch_later(directory / "webhooks" / "a.yaml")
    assert watched.settle() is None


def test_an_edit_that_is_undone_is_told_as_two_changes(watched: Watched, directory: Path) -> None:
    path = directory / "webhooks" / "a.yaml"
    path.write_text("id: other\n")
    first = watched.settle()
    path.write_text(WEBHOOK.format("a"))
    second = watched.settle()
    assert isinstance(first, ConfigText)
    assert isinstance(second, ConfigText)
    assert first.hash != second.hash


def test_a_directory_that_cannot_be_read_is_told_once_and_then_recovers(
    watched: Watched, directory: Path
) -> None:
    away = directory.rename(directory.with_name("away"))
    found = watched.settle()
    assert isinstance(found, ConfigError)
    assert "no such config directory" in str(found)
    assert watched.settle() is None
    away.rename(directory)
    assert isinstance(watched.settle(), ConfigText)


def test_a_broken_job_config_is_told_with_its_place(watched: Watched, directory: Path) -> None:
    (directory / "pipeline.yaml").write_text("exclude: {}\n")
    found = watched.settle()
    assert isinstance(found, ConfigError)
    assert "pipeline.yaml:1:10: error[wrong-type]" in str(found)
