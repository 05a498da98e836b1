from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.errors import InvalidRecord
from pipeline.sources.files.recorded import Message, dump_line, parse_line
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
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(map(dump_line, messages)) + b'{"hookline":1,"torn\n')
    recording = Recording([str(path)])
    chunk = recording.read(10)
    assert chunk is not None
    assert chunk.sources == ["users/1", "events/1", "users/1", "r.jsonl"]
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
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(lines))
    chunk = Recording([str(tmp_path)]).read(10)
    assert chunk is not None
    assert chunk.received == [1, 2, 3, 4, 5, 6]


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
        (b"\xff", (None, False)),
        (None, (None, True)),
    ],
)
def test_a_peek_sees_the_time_and_whether_it_is_an_update(
    line: bytes | None, seen: tuple[int | None, bool]
) -> None:
    assert peek(line) == seen
