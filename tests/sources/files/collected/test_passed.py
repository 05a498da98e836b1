"""A job tells a collector what it has read: durably, seldom, and never more than its own state has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.runtime.state.directory import reader_name
from pipeline.sources.files.collected.passed import EVERY_SECS, TOUCHED_SECS, Passed
from pipeline.sources.files.recording import Recording
from tests.kit.streams.collected import CollectorsFolder


@pytest.fixture
def folder(tmp_path: Path) -> CollectorsFolder:
    return CollectorsFolder(tmp_path / "collected")


def test_it_is_said_at_most_once_a_second_and_shown_again_after_an_hour(folder: CollectorsFolder) -> None:
    now = [5.0]
    passed = Passed(str(folder.path), lambda: "me", lambda: now[0])

    def said(line: int) -> dict[str, int]:
        passed.durable(line)
        passed.close()
        return folder.passed()

    assert said(3) == {"me": 3}
    assert said(4) == {"me": 3}
    now[0] += EVERY_SECS
    assert said(4) == {"me": 4}
    path = folder.path / ".readers/me"
    path.unlink()
    now[0] += EVERY_SECS
    assert said(4) == {}
    now[0] += TOUCHED_SECS
    assert said(4) == {"me": 4}


def test_what_is_handed_out_is_said_only_when_it_is_durable(folder: CollectorsFolder) -> None:
    reader = Recording([str(folder.path)], follow=True, reader=lambda: "me")
    reader.durable(reader.position)
    for n in range(3):
        folder.append(b'{"n":%d}' % n)
    chunk = reader.read(2)
    assert chunk is not None
    position = reader.position
    assert reader.read(2) is not None
    reader.durable(position)
    reader.close()
    assert folder.passed() == {"me": 2}


def test_where_reading_goes_on_is_said_before_the_folder_is_listed(folder: CollectorsFolder) -> None:
    (folder.path / ".readers").mkdir()
    (folder.path / ".readers/another").write_text('{"version": 1, "offset": 9}')
    folder.append(b"{}")
    reader = Recording([str(folder.path)], follow=True, reader=lambda: "me")
    assert folder.passed() == {"another": 9, "me": 0}
    assert reader.read(1) is not None
    position = reader.position
    reader.close()
    (folder.path / ".readers/me").unlink()  # as of a job that stood still for longer than `keep`
    Recording([str(folder.path)], follow=True, reader=lambda: "me", resume=position).close()
    assert folder.passed() == {"another": 9, "me": 1}


def test_who_has_no_name_there_says_nothing(folder: CollectorsFolder) -> None:
    folder.append(b"{}")
    reader = Recording([str(folder.path)])
    assert reader.read(1) is not None
    reader.durable(reader.position)
    reader.close()
    assert not (folder.path / ".readers").exists()


def test_a_folder_that_takes_nothing_is_a_warning_once(
    folder: CollectorsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    (folder.path / ".readers").write_text("in the way")
    now = [0.0]
    passed = Passed(str(folder.path), lambda: "me", lambda: now[0])
    for line in range(3):
        now[0] += EVERY_SECS
        passed.durable(line)
        passed.close()
    (record,) = [one for one in caplog.records if "cannot tell the collector" in one.getMessage()]
    assert "read-only mount" in str(vars(record))


def test_a_state_directory_has_one_name_for_good(tmp_path: Path) -> None:
    name = reader_name(tmp_path)
    assert re.fullmatch("[0-9a-f]{16}", name)
    assert reader_name(tmp_path) == name
    (tmp_path / "reader").write_bytes(b"\xff\0")
    assert reader_name(tmp_path) not in (name, "")
    assert len({reader_name(tmp_path), reader_name(tmp_path)}) == 1
