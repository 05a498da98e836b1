"""A disk that does not write is told as such, with what to do; nothing half-made stays for the next start."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest

from pipeline.model.errors import Fatal, machine_fault, reason
from pipeline.model.files.disk import append_all, free_bytes, naming, wholly, write_text
from pipeline.runtime.state.recovery import prepare_recovery


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """Every write of this process fails meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_recovery_store_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "recovery"
    with (
        pytest.raises(Fatal, match=r"a disk does not read or write .* raise `ulimit -f`, or .* start again"),
        no_file_may_grow(),
    ):
        prepare_recovery(folder)
    assert not folder.exists()
    assert prepare_recovery(folder) == 0


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error", "/s/x"), RuntimeError("SqliteFailure: disk I/O error")]
)
def test_what_a_failing_disk_says_is_known_as_such(error: Exception) -> None:
    assert "dmesg" in str(machine_fault(error))
    assert machine_fault(OSError(errno.ENOENT, "No such file", "/s/x")) is None


def test_what_was_said_of_a_limit_is_not_said_again_around_it() -> None:
    said = machine_fault(OSError(errno.EMFILE, "Too many open files", "/s/x"))
    assert said is not None
    assert machine_fault(said) is said


def test_of_too_many_open_files_it_is_said_how_many_there_may_be() -> None:
    few = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert reason(OSError(errno.EMFILE, "Too many open files")) == (
        f"Too many open files ({few:,}: raise `ulimit -n`)"
    )


def test_the_full_disk_is_that_of_the_file_that_is_named() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "the disk of the state directory is full (" in str(machine_fault(full))
    with pytest.raises(OSError, match="No space") as caught, naming(Path("/elsewhere/dead.jsonl")):
        raise full
    assert "the disk of /elsewhere/dead.jsonl is full (No space left on device)." in str(
        machine_fault(caught.value)
    )


@pytest.mark.parametrize(("files", "left", "free"), [(1_000, 99, 0), (1_000, 100, 8_192), (0, 0, 8_192)])
def test_a_disk_that_takes_no_more_files_is_full_unless_it_has_no_fixed_number_of_them(
    files: int, left: int, free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(f_files=files, f_favail=left, f_bavail=2, f_frsize=4_096)
    monkeypatch.setattr(os, "statvfs", lambda folder: disk)
    assert free_bytes(tmp_path) == free


def test_of_a_persons_file_that_cannot_be_written_no_part_is_left(tmp_path: Path) -> None:
    path, link = tmp_path / "dead.jsonl", tmp_path / "link"
    with pytest.raises(OSError, match="File too large") as caught, no_file_may_grow():
        write_text(path, "{}")
    assert caught.value.filename == str(path)
    write_text(path, "{}")
    with pytest.raises(FileExistsError):
        write_text(path, "[]", anew=True)
    assert path.read_text() == "{}", "whose name is taken loses nothing"
    link.symlink_to(path)
    with pytest.raises(OSError, match="too large"), link.open("wb") as file, wholly(link), file:
        _half(file)
    assert [one.name for one in tmp_path.iterdir()] == ["link"]


def test_what_a_user_may_not_read_is_told_with_what_it_takes() -> None:
    denied = PermissionError(errno.EACCES, "Permission denied", "/x")
    assert reason(denied).startswith(f"Permission denied (user {os.geteuid()} needs access")
    assert reason(IsADirectoryError(errno.EISDIR, "Is a directory", "/x")) == "Is a directory"
    assert reason(OSError("odd")) == "odd"


def _half(file: BinaryIO) -> None:
    file.write(b"half")
    raise OSError(errno.EFBIG, "too large")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is wanted")
def test_a_file_that_takes_no_more_is_named_by_whoever_writes_it() -> None:
    full = Path("/dev/full")
    with pytest.raises(OSError, match="No space") as appended, full.open("wb", buffering=0) as file:
        append_all(file.fileno(), b"x")
    with pytest.raises(OSError, match="No space") as written:
        write_text(full, "x")
    assert [error.value.filename for error in (appended, written)] == ["/dev/full"] * 2
    assert full.exists()
