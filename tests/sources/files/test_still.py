"""Whether a reader is certain that nothing new has come."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.sources.files import recording
from pipeline.sources.files.recording import Recording


def test_a_followed_file_is_still_until_it_grows_or_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "stream.jsonl"
    path.write_bytes(b"1\n2\n")
    reader = Recording([str(path)], follow=True)
    assert not reader.is_still(), "nothing was read yet"
    assert reader.read(1) is not None
    assert not reader.is_still(), "a line was not handed out"
    assert reader.read(1) is not None
    assert reader.is_still()
    path.write_bytes(b"1\n2\n3")
    assert not reader.is_still()
    assert reader.read(1) is None
    assert reader.is_still(), "the line is not complete, and there is no more of it"
    path.write_bytes(b"1\n")
    assert not reader.is_still(), "to be read and refused"
    reader.close()


def test_several_files_are_still_together_and_too_many_never_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_HEARD", 2)
    files = [tmp_path / f"{number}.jsonl" for number in range(3)]
    for count, certain in ((2, True), (3, False)):
        for path in files:
            path.write_bytes(b"1\n")
        reader = Recording([str(path) for path in files[:count]], follow=True)
        while reader.read(9) is not None:
            pass
        assert reader.is_still() is certain
        with files[1].open("ab") as file:
            file.write(b"2\n")
        assert not reader.is_still()
        reader.close()


def test_what_is_not_followed_is_never_certain(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n")
    reader = Recording([str(path)])
    while reader.read(9) is not None:
        pass
    assert not reader.is_still()
    reader.close()
