from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.auto import RECORDED
from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.model.errors import ConfigError, InvalidRecord
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.files.lines.recorded import Message, dump_line, parse_line
from pipeline.sources.files.merging import origins
from pipeline.sources.files.merging.origins import Origins
from pipeline.sources.files.recording import Recording
from pipeline.sources.peek import peek

VALUES = (
    st.none()
    | st.binary(max_size=40)
    | st.sampled_from(
        [
            b"",
            b"null",
            b' {"a": 1.50} ',
            b'{"a":1}\n',
            b'"\xff"',
            b"[" * 500,
            b'{"a":1}',
            b'{"a":1},"offset":9,"x":{}',
            b"1e999",
        ]
    )
)


@given(
    st.text(),
    st.integers(0, 2**62),
    st.none() | st.integers(0, 2**45),
    st.none() | st.binary(max_size=10),
    st.none()
    | st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), min_size=1, max_size=3),
    VALUES,
)
def test_every_message_reads_back_byte_for_byte(
    source: str,
    offset: int,
    time: int | None,
    key: bytes | None,
    headers: list[tuple[str, bytes | None]] | None,
    value: bytes | None,
) -> None:
    message = Message(source, offset, time, key, headers, value)
    line = dump_line(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert parse_line(line[:-1]) == message


def test_json_stays_readable_in_the_file() -> None:
    line = dump_line(Message("events/0", 42, 5, b"u1", None, b'{"a":1}'))
    assert line == b'{"hookline":1,"source":"events/0","offset":42,"time":5,"key":"u1","value":{"a":1}}\n'


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"hookline":2,"source":"a","offset":1}',
        b'{"hookline":1,"source":"a","offset":1,"value_base64":"%"}',
        '{"hookline":1,"source":"a","offset":1,"value_base64":"é"}'.encode(),
        b'{"hookline":1,"source":"a","offset":1,"key":{}}',
        b'{"hookline":1,"source":"\xff","offset":1}',
    ],
)
def test_a_damaged_line_is_an_invalid_record(line: bytes) -> None:
    with pytest.raises(InvalidRecord):
        parse_line(line)


def test_a_recording_of_topics_keeps_their_origins(tmp_path: Path) -> None:
    messages = [
        Message("users/1", 7, 1000, b"u1", None, b'{"type":"user","user_id":"u1"}'),
        Message("events/1", 9, 1001, None, [("ce_id", b"x")], b"not json"),
        Message("users/1", 8, 1002, b"u1", None, None),
    ]
    path = tmp_path / "r.rec.jsonl"
    path.write_bytes(b"".join(map(dump_line, messages)) + b'{"hookline":1,"torn\n')
    recording = Recording([str(path)])
    chunk = recording.read(10)
    assert chunk is not None
    assert chunk.sources == ["users/1", "events/1", "users/1", "r.rec.jsonl"]
    assert chunk.offsets[:3] == [7, 9, 8]
    assert chunk.lines == [messages[0].value, b"not json", None, b'{"hookline":1,"torn']
    assert chunk.received == [1000, 1001, 1002, None]
    assert chunk.keys == [b"u1", None, b"u1", None]
    assert chunk.headers == [None, [("ce_id", b"x")], None, None]
    assert chunk.faults is not None
    assert "damaged" in chunk.faults[3]
    assert recording.read(10) is None
    assert recording.done


def test_two_recordings_of_topics_are_merged_by_broker_time(tmp_path: Path) -> None:
    for name, first in (("a", 1), ("b", 2)):
        lines = [
            dump_line(Message(f"t/{name}", at, first + 2 * at, None, None, b'{"time":0}')) for at in range(3)
        ]
        (tmp_path / f"{name}.rec.jsonl").write_bytes(b"".join(lines))
    chunk = Recording([str(tmp_path)]).read(10)
    assert chunk is not None
    assert chunk.received == [1, 2, 3, 4, 5, 6]


def lines_of(*offsets: int, source: str = "t/0") -> bytes:
    return b"".join(dump_line(Message(source, at, 1000 + at, None, None, b'{"n":%d}' % at)) for at in offsets)


def read_on(
    paths: list[Path], resume: Position | None = None, limit: int = 3, formats: Formats = ALL_AUTO
) -> list[RawChunk]:
    reader = Recording([str(path) for path in paths], resume=resume)
    reader.under(formats)
    found = []
    while not reader.done:
        chunk = reader.read(limit)
        if chunk is not None:
            found.append(chunk)
    return found


def offsets(chunks: list[RawChunk]) -> list[int]:
    return [offset for chunk in chunks for offset in chunk.offsets]


def twice(chunks: list[RawChunk]) -> int:
    return sum((chunk.noted or {}).get("twice", 0) for chunk in chunks)


SAYS_SO = Formats(RECORDED)

STREAMS = [
    ([1, 1], [1]),
    ([1, 2, 3, 1, 2, 3, 4], [1, 2, 3, 4]),
    ([5, 3, 5, 4, 3, 4], [5, 3, 4]),
    ([1, 5, 9, 5, 1, 7, 9, 7], [1, 5, 9, 7]),
    ([7] * 20, [7]),
    ([0, 2**62, 0], [0, 2**62]),
]


@pytest.mark.parametrize(("given", "left"), STREAMS)
def test_a_message_that_is_there_twice_is_read_once_and_noted(
    tmp_path: Path, given: list[int], left: list[int]
) -> None:
    path = tmp_path / "r.rec.jsonl"
    path.write_bytes(lines_of(*given))
    chunks = read_on([path])
    assert offsets(chunks) == left
    assert twice(chunks) == len(given) - len(left)
    assert chunks[-1].position[1] == len(given)
    # From each position the rest comes, without what was there before it.
    for done, chunk in enumerate(chunks, 1):
        assert offsets(read_on([path], chunk.position)) == offsets(chunks[done:])


def test_recordings_that_overlap_are_read_as_one(tmp_path: Path) -> None:
    for name, what in (("a", range(6)), ("b", range(3, 9)), ("c", range(9))):
        (tmp_path / f"{name}.rec.jsonl").write_bytes(lines_of(*what))
    (tmp_path / "other.rec.jsonl").write_bytes(lines_of(0, 1, source="t/1"))
    chunks = read_on([tmp_path], limit=4)
    assert sorted(offsets(chunks)) == [0, 0, 1, 1, *range(2, 9)]
    assert twice(chunks) == 12


def test_only_so_much_is_remembered_and_nothing_new_is_ever_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "SPANS", 3)
    seen = Origins()
    assert all(seen.is_new("t", offset) for offset in (0, 10, 20, 30))
    assert not seen.is_new("t", 10)
    assert seen.is_new("t", 0)  # forgotten, so it comes again
    assert all(seen.is_new("t", offset) for offset in (11, 12, 13, 25))
    again = Origins()
    for place in seen.places():
        again.resume(place)
    assert again.places() == seen.places()


@given(st.lists(st.integers(0, 12), max_size=60))
def test_what_was_seen_is_known(offsets: list[int]) -> None:
    seen, before = Origins(), set()
    for offset in offsets:
        assert seen.is_new("t", offset) == (offset not in before)
        before.add(offset)


def packed(name: str, data: bytes) -> bytes:
    if name.endswith("gz"):
        return gzip.compress(data)
    return zstandard.compress(data) if name.endswith("zst") else data


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz", "r.jsonl.zst", "rec.jsonl", "a.rec.ndjson"])
def test_recorded_messages_under_another_name_are_refused_and_never_read_as_lines(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(packed(name, lines_of(1, 2)))
    with pytest.raises(ConfigError, match=r"by its name \(\*\.rec\.jsonl.*or by `format: recording`"):
        read_on([path])
    assert offsets(read_on([path], formats=SAYS_SO)) == [1, 2]


@pytest.mark.parametrize("name", ["r.rec.jsonl", "r.rec.jsonl.gz", "r.rec.jsonl.zst"])
def test_a_recording_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(packed(name, b'{"type":"event"}\n' + lines_of(1)))
    (chunk,) = read_on([path])
    assert chunk.offsets[1] == 1
    assert chunk.faults is not None
    assert "damaged" in chunk.faults[0]


def test_what_a_line_says_of_itself_makes_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"hookline":1,"evil":true}\n{"type":"event"}\n' + lines_of(1))
    chunks = read_on([path], limit=1)
    assert [chunk.sources for chunk in chunks] == ["r.jsonl"] * 3
    # Nor after a restart in front of such a line.
    assert [one.sources for one in read_on([path], chunks[1].position)] == ["r.jsonl"]


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_what_an_older_version_has_begun_to_read_goes_on_as_a_recording(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(packed(name, lines_of(1, 2, 3)))
    _, lines, places = read_on([path], formats=SAYS_SO, limit=1)[0].position
    old = ("jsonl-2", lines, tuple(place[:9] for place in places if place[0] != origins.SEEN))
    chunks = read_on([path], old)
    assert offsets(chunks) == [2, 3]
    path.write_bytes(path.read_bytes() + packed(name, lines_of(4)))
    assert offsets(read_on([path], chunks[-1].position)) == [4]


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        (b'{"type":"event","name":"a","time":1700000000}', (1700000000000, False)),
        (b'{"type":"user","time":1700000000}', (1700000000000, True)),
        (b'{"event":"$set","timestamp":"2023-11-14T22:13:20Z"}', (1700000000000, True)),
        (b'{"identity":"a","properties":{}}', (None, True)),
        (b'{"batch":[{"type":"identify","timestamp":1700000000}]}', (1700000000000, True)),
        (b'{"batch":[],"sentAt":1}', (None, False)),
        (b'{"specversion":"1.0","type":"user"}', (None, False)),
        (b'{"type":"event","time":"soon"}', (None, False)),
        (b'"{\\"type\\":\\"user\\",\\"time\\":1700000000}"', (1700000000000, True)),
        (b'"{', (None, False)),
        (b"\xff", (None, False)),
        (None, (None, True)),
    ],
)
def test_a_peek_sees_the_time_and_whether_it_is_an_update(
    line: bytes | None, seen: tuple[int | None, bool]
) -> None:
    assert peek(line) == seen
