"""Files that hold no lines of JSON as they are: one dead letter says what they are."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pipeline.sources.files.recording import RESCAN_SECS, Recording
from tests.sources.files.following.rotations import append, lines


def utf_16(text: bytes) -> bytes:
    return text.decode().encode("utf-16")


def tar_gz(text: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("app.jsonl")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return file.getvalue()


def gzip_twice(text: bytes) -> bytes:
    """As Firehose writes what CloudWatch Logs has compressed."""
    return gzip.compress(gzip.compress(text))


def zstd_in_gzip(text: bytes) -> bytes:
    return gzip.compress(zstandard.compress(text))


@pytest.mark.parametrize(
    ("pack", "what"),
    [
        (tar_gz, "a tar archive, which is not read: unpack it (`tar xf FILE`)"),
        (gzip_twice, "compressed twice, with gzip inside, which is not read: unpack it once"),
        (zstd_in_gzip, "compressed twice, with zstd inside, which is not read: unpack it once"),
        (lambda text: b"PAR1\x15\x04" + text, "a Parquet file, which is not read: `duckdb"),
        (lambda text: b"Obj\x01\x04" + text, "an Avro file, which is not read: `avro cat"),
        (lzma.compress, "a file compressed with xz, which is not read: `unxz FILE`"),
        (bz2.compress, "a file compressed with bzip2, which is not read: `bunzip2 FILE`"),
        (utf_16, "text in UTF-16, which is not read: `iconv"),
    ],
)
def test_a_file_that_is_packed_otherwise_is_one_dead_letter_that_says_how(
    tmp_path: Path, pack: Callable[[bytes], bytes], what: str
) -> None:
    path = tmp_path / "app.jsonl"
    text = b"".join(b'{"n":"%b"}\n' % os.urandom(20).hex().encode() for _ in range(2000))
    path.write_bytes(pack(text))
    recording = Recording([str(path)])
    chunk = recording.read(100)
    assert chunk is not None
    assert len(chunk) == 1
    assert what in (chunk.faults or {})[0]
    assert recording.read(100) is None
    assert recording.done
    assert what in recording.problems[0]


@pytest.mark.parametrize("odd", [b"\xff\xfe", b"\xfe\xff", b"\x1f\x9d", b"BZh9 is a name", b"PAR1 is one"])
def test_a_first_line_of_odd_bytes_costs_no_other_line(tmp_path: Path, odd: bytes) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(odd + b"\n" + lines(1, 3))
    chunk = Recording([str(path)]).read(100)
    assert chunk is not None
    assert (len(chunk), chunk.faults or {}) == (4, {})


@pytest.mark.parametrize("text", [lzma.compress(lines(1, 3)), gzip.compress(b"")[:4] + b"?" * 40])
def test_a_followed_file_that_cannot_be_read_stops_no_other(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    (tmp_path / "app.jsonl.1.x").write_bytes(text)
    now = [0.0]
    position = None
    for _ in range(2):
        recording = Recording([f"{tmp_path}/app*"], follow=True, clock=lambda: now[0], resume=position)
        append(path, lines(4, 5))
        numbers, faults = 0, 0
        for _ in range(3):
            now[0] += RESCAN_SECS + 0.1
            while (chunk := recording.read(100)) is not None:
                numbers, faults = numbers + len(chunk), faults + len(chunk.faults or {})
        assert (numbers - faults, faults) == ((5, 1) if position is None else (2, 1))
        position = recording.position
        recording.close()
