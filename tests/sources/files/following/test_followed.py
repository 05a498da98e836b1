"""Files that grow while they are read."""

from __future__ import annotations

from pathlib import Path

from pipeline.sources.files.recording import Recording
from tests.sources.files.reads import append, event, places, read_all


def test_a_followed_file_gives_only_complete_lines(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    path.write_bytes(b"one\ntw")
    recording = Recording([str(path)], follow=True)
    assert [line for _, _, line in read_all(recording)] == [b"one"]
    recording = Recording([str(path)], follow=True, resume=recording.position)
    assert recording.read(10) is None
    append(path, b"o\nthree\n")
    chunk = recording.read(10)
    assert chunk is not None
    assert places(chunk) == [("live.jsonl", 4, b"two"), ("live.jsonl", 8, b"three")]
    assert recording.read(10) is None
    assert not recording.done


def test_what_was_appended_to_one_file_first_comes_first(tmp_path: Path) -> None:
    users, events = tmp_path / "users.jsonl", tmp_path / "events.jsonl"
    users.touch()
    events.touch()
    recording = Recording(events=[str(events)], users=[str(users)], follow=True)
    assert recording.read(10) is None
    for at in range(3):
        append(users, b'{"user_id":"u","time":%d}\n' % at)
        append(events, event(at) + b"\n")
    found = []
    while (chunk := recording.read(10)) is not None:
        found += [name[0] for name, _, _ in places(chunk)]
    assert found == ["u", "e"] * 3


def test_a_new_file_in_a_followed_folder_is_noticed(tmp_path: Path) -> None:
    now = [0.0]
    recording = Recording([str(tmp_path)], follow=True, clock=lambda: now[0])
    assert recording.read(10) is None
    (tmp_path / "a.jsonl").write_bytes(b"one\n")
    assert recording.read(10) is None
    now[0] = 1.5
    chunk = recording.read(10)
    assert chunk is not None
    assert chunk.lines == [b"one"]
