from __future__ import annotations

import gzip
import os
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.model.errors import ConfigError, StateError
from pipeline.sources.chunk import RawChunk
from pipeline.sources.files.lines import blocks, unpackers
from pipeline.sources.files.recording import Recording
from tests.kit.examples import examples

Place = tuple[str, int, bytes | None]

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda text: text,
    ".gz": lambda text: gzip.compress(text[:40]) + gzip.compress(text[40:]),
    ".zst": lambda text: zstandard.compress(text[:40]) + zstandard.compress(text[40:]),
}


def places(chunk: RawChunk) -> list[Place]:
    sources = chunk.sources if isinstance(chunk.sources, list) else [chunk.sources] * len(chunk)
    return list(zip(sources, chunk.offsets, chunk.lines, strict=True))


def read_all(recording: Recording, limit: int = 200) -> list[Place]:
    """Read until nothing comes; a finite recording must be done then."""
    found: list[Place] = []
    while (chunk := recording.read(limit)) is not None:
        assert 0 < len(chunk) <= limit
        found += places(chunk)
    recording.close()
    return found


def lines_of(*paths: Path | str, **given: Any) -> list[bytes | None]:
    recording = Recording([str(path) for path in paths], **given)
    found = read_all(recording)
    assert recording.done
    return [line for _, _, line in found]


def read_with_restarts(limit: int, **given: Any) -> list[Place]:
    """Read one chunk per process: each one starts from the pickled position of the one before."""
    found: list[Place] = []
    position = None
    while True:
        recording = Recording(**given, resume=position)
        chunk = recording.read(limit)
        recording.close()
        if chunk is None:
            assert recording.done
            return found
        found += places(chunk)
        position = pickle.loads(pickle.dumps(chunk.position))
        assert position[1] == len(found)


def event(time: Any, name: str = "e", **more: Any) -> bytes:
    return orjson.dumps({"type": "event", "name": name, "user_id": "u", "time": time, **more})


# --- one file


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


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n \n\n"])
def test_a_file_without_records_is_done_at_once(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "r.jsonl").write_bytes(text)
    assert lines_of(tmp_path / "r.jsonl") == []


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(80), deadline=None
)
@given(
    st.lists(
        st.sampled_from([b"", b" ", b"x", b"\r", b"xy\r", b"z" * 30, b"\xc3\xa9", b"w" * 11]), max_size=30
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
        line = part[:-1] if part.endswith(b"\r") else part
        if line.strip():
            expected.append((path.name, at, line))
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


# --- damage


def damaged(path: Path) -> tuple[list[bytes | None], str, Recording]:
    recording = Recording([str(path)])
    lines: list[bytes | None] = []
    fault = ""
    while (chunk := recording.read(50)) is not None:
        lines += chunk.lines
        fault = (chunk.faults or {}).get(len(chunk) - 1, "")
    assert recording.done
    return lines, fault, recording


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


# --- several files


def merged_by_hand(files: dict[str, list[tuple[int | None, int, bytes]]]) -> list[tuple[str, bytes]]:
    """The rule in its plainest form: take the smallest (running maximum, side, name) of the heads."""
    heads = dict.fromkeys(files, 0)
    latest = dict.fromkeys(files, -(10**18))
    found: list[tuple[str, bytes]] = []
    while True:
        candidates = []
        for name, lines in files.items():
            if heads[name] < len(lines):
                when, side, line = lines[heads[name]]
                reached = latest[name] if when is None else max(latest[name], when)
                candidates.append((reached, side, name, line))
        if not candidates:
            return found
        reached, _, name, line = min(candidates)
        latest[name] = reached
        heads[name] += 1
        found.append((name, line))


@st.composite
def streams(draw: st.DrawFn) -> dict[str, list[tuple[int | None, int, bytes]]]:
    files: dict[str, list[tuple[int | None, int, bytes]]] = {}
    for name in ("a.jsonl", "b.jsonl.gz", "sub/c.jsonl.zst")[: draw(st.integers(1, 3))]:
        lines: list[tuple[int | None, int, bytes]] = []
        for at in range(draw(st.integers(0, 8))):
            when = draw(st.none() | st.integers(1_700_000_000_000, 1_700_000_000_004))
            if draw(st.booleans()):
                lines.append((when, 1, event(when, f"{name} {at}")))
            else:
                lines.append((when, 0, event(when, f"{name} {at}").replace(b'"event"', b'"user"')))
        files[name] = lines
    return files


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(80), deadline=None
)
@given(streams(), st.integers(1, 5))
def test_several_files_are_merged_by_the_running_maximum_of_their_times(
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[str, list[tuple[int | None, int, bytes]]],
    limit: int,
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    for name, lines in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(
            PACK["" if name == "a.jsonl" else path.suffix](b"".join(line + b"\n" for _, _, line in lines))
        )
    expected = (
        merged_by_hand(files) if len(files) > 1 else [("a.jsonl", line) for _, _, line in files["a.jsonl"]]
    )
    found = read_all(Recording([str(folder)]), limit)
    assert [(name, line) for name, _, line in found] == expected
    assert read_with_restarts(limit, paths=[str(folder)]) == found


def test_users_of_their_own_file_come_before_events_of_the_same_time(tmp_path: Path) -> None:
    (tmp_path / "a-events.jsonl").write_bytes(event(5) + b"\n" + event(7) + b"\n")
    (tmp_path / "z-users.jsonl").write_bytes(b'{"user_id":"u","time":5}\n{"user_id":"v","time":6}\n')
    recording = Recording(events=[str(tmp_path / "a-events.jsonl")], users=[str(tmp_path / "z-users.jsonl")])
    assert [(name[0], line) for name, _, line in read_all(recording)] == [
        ("z", b'{"user_id":"u","time":5}'),
        ("a", event(5)),
        ("z", b'{"user_id":"v","time":6}'),
        ("a", event(7)),
    ]


def test_the_same_file_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(event(1))
    assert len(lines_of(tmp_path, tmp_path / "a.jsonl", tmp_path / "*.jsonl")) == 1


def test_the_name_of_a_file_may_be_anything_but_is_utf8_in_origins(tmp_path: Path) -> None:
    names = [b"\xff\xe9.jsonl", "ünï.jsonl".encode(), b"new\nline.jsonl"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(event(1))
    recording = Recording([str(tmp_path)])
    assert {name for name, _, _ in read_all(recording)} == {
        "\\xff\\xe9.jsonl",
        "ünï.jsonl",
        "new\nline.jsonl",
    }
    assert read_all(Recording([str(tmp_path)], resume=recording.position)) == []


def test_what_an_older_version_has_read_of_a_file_whose_name_is_no_utf8_is_not_read_again(
    tmp_path: Path,
) -> None:
    name = os.fsdecode(b"caf\xe9.jsonl")
    (tmp_path / name).write_bytes(b"1\n2\n")
    recording = Recording([str(tmp_path)])
    recording.read(1)
    version, count, (place,) = recording.position
    older = (version, count, ((name, *place[1:]),))
    assert read_all(Recording([str(tmp_path)], resume=older)) == [("caf\\xe9.jsonl", 2, b"2")]


def test_equal_names_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "e.jsonl").write_bytes(event(1, folder))
    both = [str(tmp_path / "x" / "e.jsonl"), str(tmp_path / "y" / "e.jsonl")]
    assert [name for name, _, _ in read_all(Recording(both))] == ["x/e.jsonl", "y/e.jsonl"]
    alone = Recording(both[:1])
    read_all(alone)
    with pytest.raises(StateError, match=r"several files are called e\.jsonl"):
        Recording(both, resume=alone.position)


def test_a_missing_path_and_an_empty_folder_are_said_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        Recording([str(tmp_path / "nothing.jsonl")])
    with pytest.raises(ConfigError, match=r"there is no \*.jsonl"):
        Recording([str(tmp_path)])


# --- between two runs


def test_files_may_join_leave_and_come_back_and_none_is_read_twice(tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{name}.jsonl" for name in "abc")
    first.write_bytes(event(5, "a") + b"\n")
    second.write_bytes(event(6, "b") + b"\n")
    run = Recording([str(first), str(second)])
    assert len(read_all(run)) == 2
    third.write_bytes(event(1, "c"))
    run = Recording([str(second), str(third)], resume=run.position)
    assert [name for name, _, _ in read_all(run)] == ["c.jsonl"]
    run = Recording([str(tmp_path)], resume=run.position)
    assert read_all(run) == []
    assert run.done


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("ends", [b"\n", b""])
def test_a_file_that_grew_goes_on_where_it_stopped(tmp_path: Path, suffix: str, ends: bytes) -> None:
    path = tmp_path / f"r.jsonl{suffix}"
    pack = PACK[suffix]
    path.write_bytes(pack(b"one\ntwo" + ends))
    run = Recording([str(path)])
    assert len(read_all(run)) == 2
    grown = b"\nthree\n" if not ends else b"three\n"
    path.write_bytes(path.read_bytes() + pack(grown))
    run = Recording([str(path)], resume=run.position)
    assert [(at, line) for _, at, line in read_all(run)] == [(8, b"three")]
    assert lines_of(path, resume=run.position) == []


@pytest.mark.parametrize("suffix", PACK)
def test_a_copy_is_the_same_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.jsonl{suffix}"
    path.write_bytes(PACK[suffix](b"one\ntwo\nthree\n"))
    run = Recording([str(path)])
    run.read(2)
    text = path.read_bytes()
    path.unlink()
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / path.name).write_bytes(text)
    assert lines_of(other / path.name, resume=run.position) == [b"three"]


@pytest.mark.parametrize("suffix", PACK)
def test_a_file_with_another_beginning_is_an_error_that_says_what_to_do(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.jsonl{suffix}"
    path.write_bytes(PACK[suffix](b"one\ntwo\n" * 100))
    run = Recording([str(path)])
    run.read(2)
    path.write_bytes(PACK[suffix](b"eno\ntwo\n" * 100))
    with pytest.raises(StateError, match=r"its beginning is not what was read.*empty state directory"):
        Recording([str(path)], resume=run.position)


@pytest.mark.parametrize("suffix", PACK)
def test_a_file_that_shrank_is_an_error_that_says_what_to_do(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.jsonl{suffix}"
    text = b"".join(b"%d\n" % (at * 7919) for at in range(3000))
    path.write_bytes(PACK[suffix](text))
    run = Recording([str(path)])
    read_all(run)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(StateError, match=r"were read\. A recording may grow"):
        Recording([str(path)], resume=run.position)


def test_a_position_of_another_kind_of_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"x")
    with pytest.raises(StateError, match="another kind of source"):
        Recording([str(tmp_path / "r.jsonl")], resume=("kafka-1", 5, ()))


# --- files that grow while they are read


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


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


# --- standard input


@pytest.fixture
def stdin() -> Iterator[Callable[[], int]]:
    """Return a function that makes a fresh pipe standard input, and returns its writing end."""
    saved = os.dup(0)
    writers: list[int] = []

    def renew() -> int:
        reading, writing = os.pipe()
        os.dup2(reading, 0)
        os.close(reading)
        writers.append(writing)
        return writing

    yield renew
    os.dup2(saved, 0)
    os.close(saved)
    for writing in writers:
        try:
            os.close(writing)
        except OSError:
            pass  # the test closed it: that is how a stream ends


def piped(stdin: Callable[[], int], text: bytes, **given: Any) -> Recording:
    writing = stdin()
    os.write(writing, text)
    os.close(writing)
    return Recording(["-"], **given)


def test_standard_input_is_read_as_it_comes_and_never_waited_for(stdin: Callable[[], int]) -> None:
    writing = stdin()
    recording = Recording(["-"])
    assert recording.read(10) is None
    os.write(writing, b"one\ntw")
    chunk = recording.read(10)
    assert chunk is not None
    assert chunk.lines == [b"one"]
    assert recording.read(10) is None
    assert not recording.done
    os.write(writing, b"o")
    os.close(writing)
    chunk = recording.read(10)
    assert chunk is not None
    assert chunk.lines == [b"two"]
    assert chunk.offsets == [4]
    assert recording.read(10) is None
    assert recording.done
    recording.close()


def test_the_same_stream_piped_again_goes_on_where_it_stopped(stdin: Callable[[], int]) -> None:
    text = b"one\ntwo\nthree\nfour"
    run = piped(stdin, text)
    assert len(read_all(run)) == 4
    again = piped(stdin, text, resume=run.position)
    assert read_all(again) == []
    assert again.done
    run = piped(stdin, text)
    chunk = run.read(2)
    assert chunk is not None
    run.close()
    rest = read_all(piped(stdin, text, resume=chunk.position))
    assert [(at, line) for _, at, line in rest] == [(8, b"three"), (14, b"four")]


def test_another_stream_is_another_source_and_starts_at_its_beginning(stdin: Callable[[], int]) -> None:
    run = piped(stdin, b"one\ntwo\n")
    first = read_all(run)
    second = read_all(piped(stdin, b"uno\ntwo\n", resume=run.position))
    assert [(at, line) for _, at, line in second] == [(0, b"uno"), (4, b"two")]
    assert {name for name, _, _ in first}.isdisjoint({name for name, _, _ in second})


def test_a_stream_that_only_begins_alike_is_refused(stdin: Callable[[], int]) -> None:
    run = piped(stdin, b"one\ntwo\n")
    read_all(run)
    with pytest.raises(StateError, match="goes on differently"):
        read_all(piped(stdin, b"one\nowt\nthree\n", resume=run.position))
    with pytest.raises(StateError, match="ends 4 bytes before"):
        read_all(piped(stdin, b"one\n", resume=run.position))


def test_a_compressed_stream_is_read_too(stdin: Callable[[], int]) -> None:
    assert [line for _, _, line in read_all(piped(stdin, gzip.compress(b"one\ntwo\n")))] == [b"one", b"two"]
