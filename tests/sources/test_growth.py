"""Files are listened to, so that nobody need look for what comes; whoever cannot hear looks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.sources import growth
from pipeline.sources.files import recording
from pipeline.sources.files.recording import Recording
from pipeline.sources.growth import UNHEARD, Growth, Listener

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has inotify")


class Deaf:
    """Never hears what another machine writes."""

    def __init__(self, paths: list[str]) -> None:
        self.asked: list[float] = []

    def wait(self, secs: float) -> bool:
        self.asked.append(secs)
        return False

    def close(self) -> None: ...


def test_what_is_written_to_a_file_or_into_a_folder_is_heard_once(tmp_path: Path) -> None:
    file, folder = tmp_path / "a", tmp_path / "b"
    file.touch()
    folder.mkdir()
    heard = Growth([str(file), str(folder)])
    assert not heard.wait(0)
    with file.open("ab", buffering=0) as out:
        out.write(b"1\n")
    assert heard.wait(9)
    assert not heard.wait(0)
    (folder / "1.jsonl").write_bytes(b"1\n")
    assert heard.wait(9)
    heard.close()
    heard.close()


@pytest.mark.parametrize("gone", ["renamed", "removed"])
def test_a_file_that_is_rotated_is_heard(gone: str, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"1\n")
    heard = Growth([str(file)])
    with file.open("rb"):  # whoever reads it still has it open
        file.rename(tmp_path / "a.1") if gone == "renamed" else file.unlink()
        assert heard.wait(9)
    heard.close()


def test_a_path_that_leads_nowhere_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No such file"):
        Growth([str(tmp_path / "gone")])
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_followed_recording_is_heard_and_sleeps_only_while_nothing_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "HEAR_SECS", 9.0)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n")
    reader = Recording([str(path)], follow=True)
    assert reader.hears
    reader.hear(0.0)  # at once: there is a line
    assert reader.read(9) is not None
    with path.open("ab") as out:
        out.write(b"2\n")
    reader.hear(0.01)
    assert reader.read(9) is not None
    reader.close()
    assert not reader.hears


def test_what_was_written_after_a_look_that_found_nothing_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(recording, "time", SimpleNamespace(sleep=slept.append))
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n")
    reader = Recording([str(path)], follow=True)
    assert reader.read(9) is not None
    assert reader.read(9) is None
    with path.open("ab") as out:
        out.write(b"2\n")
    reader.hear(9.0)
    assert slept == []
    monkeypatch.setattr(reader, "is_still", lambda: False)
    reader.hear(9.0)
    assert slept == [9.0], "it is never still, and nothing was written"
    reader.close()


def test_a_file_that_came_into_a_followed_folder_is_heard_too(tmp_path: Path) -> None:
    now = [0.0]
    (tmp_path / "a.jsonl").write_bytes(b"1\n")
    reader = Recording([str(tmp_path)], follow=True, clock=lambda: now[0])
    (tmp_path / "b.jsonl").write_bytes(b"2\n")
    now[0] = 9.0
    while reader.read(9) is not None:
        pass
    assert reader.hears
    with (tmp_path / "b.jsonl").open("ab") as out:
        out.write(b"3\n")
    reader.hear(0.01)
    chunk = reader.read(9)
    assert chunk is not None
    assert chunk.lines == [b"3"]
    reader.close()


def test_what_is_not_followed_or_too_many_is_not_listened_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_HEARD", 2)
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_bytes(b"1\n")
    for reader in (Recording([str(tmp_path / "0.jsonl")]), Recording([str(tmp_path)], follow=True)):
        while reader.read(99) is not None:
            pass
        assert not reader.hears
        reader.close()


def test_a_collectors_folder_is_listened_to_once_it_is_there(tmp_path: Path) -> None:
    listener, folder = Listener(), tmp_path / "later"
    listener.listen_to([str(folder)])
    assert not listener.hears
    folder.mkdir()
    listener.listen_to([str(folder)])
    assert listener.hears
    listener.close()


def test_who_misses_what_comes_several_times_looks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "Growth", Deaf)
    listener = Listener()
    listener.listen_to(["a"])
    for _ in range(UNHEARD):
        assert listener.hears
        answers = [False, True]
        listener.listen(answers.pop)
    assert not listener.hears
    listener.listen_to(["a", "b"])
    assert not listener.hears


def test_where_nothing_comes_nothing_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "Growth", Deaf)
    listener = Listener()
    listener.listen_to(["a"])
    for _ in range(2 * UNHEARD):
        listener.listen(lambda: True)
    assert listener.hears
