"""One file: its lines with their places, whatever it is packed in, too long or damaged."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sources.files.lines import blocks, unpackers
from pipeline.sources.files.recording import Recording
from tests.kit.examples import examples
from tests.sources.files.reads import PACK, event, lines_of, places, read_all, read_with_restarts


@pytest.mark.parametrize("suffix", PACK)
def test_lines_come_in_order_with_their_bytes_in_the_decompressed_stream(tmp_path: Path, suffix: str) -> None:
    text = b'{"a":1}\n{"b":22}\r\n\n   \n{"c":3}'
    (tmp_path / f"r.jsonl{suffix}").write_bytes(PACK[suffix](text))
    recording = Recording([str(tmp_path / f"r.jsonl{suffix}")])
    name = f"r.jsonl{suffix}"
    assert read_all(recording) == [(name, 0, b'{"a":1}'), (name, 8, b'{"b":22}'), (name, 23, b'{"c":3}')]
    assert recording.done
    assert recording.name == "recording"


def test_a_byte_order_mark_is_not_part_of_any_line(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    (tmp_path / "r.jsonl").write_bytes(b'%b{"a":1}\n%b{"b":2}\n%b\n{"c":3}\n' % (mark, mark, mark))
    assert read_all(Recording([str(tmp_path / "r.jsonl")])) == [
        ("r.jsonl", 0, b'{"a":1}'),
        ("r.jsonl", 11, b'{"b":2}'),
        ("r.jsonl", 26, b'{"c":3}'),
    ]


def test_a_hole_longer_than_any_line_is_no_part_of_the_one_after_it(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with path.open("wb") as file:
        file.write(b'{"a":1}\n')
        file.seek(2000, os.SEEK_CUR)  # truncated below its writer, or lost in a power cut
        file.write(b'{"b":2}\n\0\0\0\0{frame\n')
    assert read_all(Recording([str(path)], max_line_bytes=100)) == [
        ("r.jsonl", 0, b'{"a":1}'),
        ("r.jsonl", 2008, b'{"b":2}'),
        ("r.jsonl", 2016, b"\0\0\0\0{frame"),
    ]


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n \n\n"])
def test_a_file_without_records_is_done_at_once(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "r.jsonl").write_bytes(text)
    assert lines_of(tmp_path / "r.jsonl") == []


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(80), deadline=None
)
@given(
    st.lists(
        st.sampled_from(
            [b"", b" ", b"x", b"\r", b"xy\r", b"z" * 30, b"\xc3\xa9", b"w" * 11, bytes(9), bytes(23) + b"y"]
        ),
        max_size=30,
    ),
    st.booleans(),
    st.sampled_from(list(PACK)),
    st.integers(1, 40),
    st.integers(1, 7),
)
def test_neither_blocks_nor_chunks_nor_restarts_change_what_is_read(
    tmp_path: Path, parts: list[bytes], ends: bool, suffix: str, block: int, limit: int
) -> None:
    text = b"\n".join(parts) + b"\n" * ends
    path = tmp_path / f"r.jsonl{suffix}"
    path.write_bytes(PACK[suffix](text))
    expected, at = [], 0
    for part in text.split(b"\n"):
        line = part.lstrip(b"\0").removesuffix(b"\r")
        if line.strip():
            expected.append((path.name, at + len(part) - len(part.lstrip(b"\0")), line))
        at += len(part) + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", block)
        patch.setattr(blocks, "_COMPRESSED_BYTES", block)
        patch.setattr(unpackers, "_ZSTD_BYTES", 1 + block // 4)
        assert read_all(Recording([str(path)]), limit) == expected
        assert read_with_restarts(limit, paths=[str(path)]) == expected


@pytest.mark.parametrize("block", [7, 64, 1 << 20])
def test_a_line_that_is_too_long_is_one_fault_between_good_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block)
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"first\n" + b"x" * 3000 + b"\nafter\nlast\n" + b"y" * 101)
    recording = Recording([str(path)], max_line_bytes=100)
    found, faults = [], list[str | None]()
    while (chunk := recording.read(1)) is not None:
        found += places(chunk)
        faults += [None] if chunk.faults is None else [chunk.faults[0]]
    assert [(at, (line or b"")[:5]) for _, at, line in found] == [
        (0, b"first"),
        (6, b"xxxxx"),
        (3007, b"after"),
        (3013, b"last"),
        (3018, b"yyyyy"),
    ]
    assert faults[1] == "the line is 3000 bytes long, at most 100 are read"
    assert faults[4] == "the line is 101 bytes long, at most 100 are read"
    assert faults[0] is faults[2] is faults[3] is None
    assert all(len(line or b"") <= 1024 for _, _, line in found)


def test_an_endless_line_and_a_bomb_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.zst"
    path.write_bytes(zstandard.compress(b"x" * (120 << 20) + b"\n{}\n"))
    tracemalloc.start()
    try:
        assert [(line or b"")[:3] for line in lines_of(path)] == [b"xxx", b"{}"]
        assert tracemalloc.get_traced_memory()[1] < 80 << 20
    finally:
        tracemalloc.stop()


def long_window(text: bytes, log: int) -> bytes:
    """As `zstd --long` of a pipe: the frame does not say how little it holds."""
    params = zstandard.ZstdCompressionParameters(window_log=log, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=params).compressobj()
    return packer.compress(text) + packer.flush()


def damaged(path: Path) -> tuple[list[bytes | None], str, Recording]:
    recording = Recording([str(path)])
    lines: list[bytes | None] = []
    fault = ""
    while (chunk := recording.read(50)) is not None:
        lines += chunk.lines
        fault = (chunk.faults or {}).get(len(chunk) - 1, "")
    assert recording.done
    return lines, fault, recording


@pytest.mark.parametrize("log", [28, 31])
def test_a_zstd_file_whose_window_would_fill_the_memory_is_told_how_to_pack(tmp_path: Path, log: int) -> None:
    path = tmp_path / "long.jsonl.zst"
    packed = long_window(b'{"n": 1}\n{"n": 2}\n', log)
    assert zstandard.get_frame_parameters(packed).window_size == 1 << log
    path.write_bytes(packed)
    _, fault, _ = damaged(path)
    assert "long.jsonl.zst: damaged at byte 0: it was packed with `--long` over 27" in fault


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_file_that_is_cut_off_gives_what_came_before_and_a_fault(
    tmp_path: Path, suffix: str
) -> None:
    lines = [event(at, f"n{at * 7919 % 1000}") for at in range(1000)]
    whole = gzip.compress(b"\n".join(lines)) if suffix == ".gz" else zstandard.compress(b"\n".join(lines), 1)
    path = tmp_path / f"r.jsonl{suffix}"
    path.write_bytes(whole[:-20])
    found, fault, recording = damaged(path)
    assert f"{path}: damaged at byte {len(whole) - 20}: it is cut off" in fault
    assert recording.problems == [fault]
    assert found[:-1] == lines[: len(found) - 1]
    if suffix == ".gz":
        assert len(found) > 900


def test_a_corrupt_gzip_gives_every_line_before_the_corruption(tmp_path: Path) -> None:
    lines = [event(at, os.urandom(20).hex()) for at in range(2000)]
    whole = bytearray(gzip.compress(b"\n".join(lines)))
    middle = len(whole) // 2
    whole[middle : middle + 40] = bytes(40)
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(whole)
    found, fault, _ = damaged(path)
    assert "damaged at byte" in fault
    byte = int(fault.split("at byte ")[1].split(":")[0])
    assert middle - 100 < byte <= len(whole)
    good = next(at for at, line in enumerate(found) if line != lines[at])
    assert good > 900


def test_a_repaired_file_goes_on_at_the_damage(tmp_path: Path) -> None:
    lines = [event(at) for at in range(500)]
    whole = gzip.compress(b"\n".join(lines))
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    found, _, recording = damaged(path)
    path.write_bytes(whole)
    rest = lines_of(path, resume=recording.position)
    assert found[:-1] + rest == lines


def test_half_a_line_that_is_long_is_told_as_one_without_much_memory(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b'{"a":1}\n{"b":"' + b"x}" * (1 << 20))
    tracemalloc.start()
    try:
        assert lines_of(tmp_path / "r.jsonl") == [b'{"a":1}']
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
