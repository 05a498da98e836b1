"""A disk that does not write is told as such, with what to do; nothing half-made stays for the next start."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.model.disk import append_all, naming, write_text
from pipeline.model.errors import Fatal, machine_fault
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


def test_the_full_disk_is_that_of_the_file_that_is_named() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "the disk of the state directory is full (" in str(machine_fault(full))
    with pytest.raises(OSError, match="No space") as caught, naming(Path("/elsewhere/dead.jsonl")):
        raise full
    assert "the disk of /elsewhere/dead.jsonl is full (No space left on device)." in str(
        machine_fault(caught.value)
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is wanted")
def test_a_file_that_takes_no_more_is_named_by_whoever_writes_it() -> None:
    full = Path("/dev/full")
    with pytest.raises(OSError, match="No space") as appended, full.open("wb", buffering=0) as file:
        append_all(file.fileno(), b"x")
    with pytest.raises(OSError, match="No space") as written:
        write_text(full, "x")
    assert [error.value.filename for error in (appended, written)] == ["/dev/full"] * 2
