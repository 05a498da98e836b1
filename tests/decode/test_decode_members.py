"""One broken member costs that member, not the whole envelope."""

from __future__ import annotations

import pytest

from pipeline.decode.decode import decode
from pipeline.decode.raw import walk
from pipeline.model.records import Event, Invalid, Origin, Record
from tests.decode.reading import HERE

GOOD = b'{"type":"track","userId":"u","event":"A","properties":{"n":1}}'


def call(value: bytes) -> bytes:
    return b'{"type":"track","userId":"u","event":"A","properties":{"n":' + value + b"}}"


BROKEN = [
    (call(b"NaN"), "NaN is no number of JSON"),
    (call(b"-Infinity"), "-Infinity is no number of JSON"),
    (call(b"1e400"), "not JSON"),
    (call(b"12345678901234567890123456"), "64 bits"),
    (call(b"9" * 5000), "infinity"),
    (call(b'"\\ud800"'), "not JSON"),
    (call(b"[" * 300 + b"]" * 300), "nested"),
    (call(b'"\xff"'), "not UTF-8"),
    (call(b'"\x01"'), "not JSON"),
]


def read(line: bytes, format: str = "auto") -> list[Record]:
    return decode(line, format=format, origin=HERE)


@pytest.mark.parametrize(("member", "named"), BROKEN)
@pytest.mark.parametrize("format", ["auto", "segment"])
@pytest.mark.parametrize(
    "around",
    [
        b'{"batch":[%s],"sentAt":"2026-11-23T12:00:00Z","context":{"ip":"192.0.2.1"}}',
        b' {"context" : {"ip":"192.0.2.1"} , "sentAt":"2026-11-23T12:00:00Z","batch" : [ %s ] } \n',
        b"\xef\xbb\xbf[%s]",
    ],
)
def test_a_broken_member_is_a_dead_letter_and_the_others_flow(
    member: bytes, named: str, format: str, around: bytes
) -> None:
    first, dead, last = read(around % b" , ".join([GOOD, member, GOOD]), format)
    assert type(first) is Event
    assert type(last) is Event
    assert type(dead) is Invalid
    assert named in dead.reason
    assert dead.raw == member
    assert dead.origin == Origin(HERE.source, HERE.offset, 1)
    assert last.origin.item == 2
    if b"context" in around:
        assert (first.context, first.time) == ({"ip": "192.0.2.1"}, 1795435200000)


def test_a_batch_of_a_hundred_loses_five() -> None:
    broken = [call(b"NaN"), call(b"1e400"), call(b"1" * 26), call(b'"\\ud800"'), b"5"]
    found = read(b'{"batch":[' + b",".join([*[GOOD] * 95, *broken]) + b"]}")
    assert sum(type(one) is Event for one in found) == 95
    assert [type(one) for one in found[95:]] == [Invalid] * 5


@pytest.mark.parametrize(
    ("format", "line"),
    [
        ("segment", b'{"batch":{"0":%s,"2":%s},"sentAt":"2026-11-23T12:00:00Z"}' % (GOOD, GOOD)),
        ("auto", b'{"batch":{"1":%s,"2":%s}}' % (GOOD, GOOD)),
        (
            "heap",
            b'{"app_id":"1","events":{"3":{"event":"A","identity":"u"},"4":{"event":"A","identity":"u"}}}',
        ),
    ],
)
def test_an_array_of_php_from_which_one_was_removed_is_an_array(format: str, line: bytes) -> None:
    first, second = read(line, format)
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert (first.name, first.origin.item, second.origin.item) == ("A", 0, 1)


@pytest.mark.parametrize("line", [b"%s%s", b"%s %s", b"\xef\xbb\xbf%s,%s", b"%s\0\0%s"])
def test_two_records_of_one_line_are_two(line: bytes) -> None:
    first, second = read(line % (GOOD, GOOD))
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert (first.origin.item, second.origin.item) == (0, 1)


@pytest.mark.parametrize("line", [b"%s%s", b"%s[]", b"%s5", b"%s}", b"%s%s{"])
def test_what_is_no_second_record_costs_the_line(line: bytes) -> None:
    (found,) = read(line.replace(b"%s", GOOD, 1).replace(b"%s", GOOD[:-1]))
    assert isinstance(found, Invalid)
    assert "not JSON" in found.reason


def test_the_members_of_other_shapes_are_cut_alike() -> None:
    heap = b'{"app_id":"1","events":[{"event":"A","identity":"u"},{"event":"A","identity":NaN}]}'
    assert [type(one) for one in read(heap, "heap")] == [Event, Invalid]
    posthog = b'{"api_key":"k","batch":[{"event":"A","distinct_id":"u"},{"event":"A","distinct_id":NaN}]}'
    assert [type(one) for one in read(posthog)] == [Event, Invalid]


@pytest.mark.parametrize(
    "line",
    [
        b'{"batch":[%s],"context":{"n":NaN}}',
        b'{"batch":[%s],"batch":[%s,NaN]}',
        b'{"batch":[%s',
        b'{"batch":[%s]}}',
        b'{"batch":[%s],}',
        b'{"batch":[%s],"x"}',
        b'{5:1,"batch":[%s]}',
        b'{"event":"A","batch":[%s,NaN]}',
        b'{"batch":{"a":NaN}}',
        b'{"batch":' + b"[" * 100_000,
    ],
)
def test_an_envelope_that_is_broken_itself_is_one_dead_letter(line: bytes) -> None:
    (dead,) = read(line.replace(b"%s", GOOD))
    assert type(dead) is Invalid
    assert dead.raw == line.replace(b"%s", GOOD)


def test_a_record_alone_that_holds_nan_is_one_dead_letter() -> None:
    (dead,) = read(call(b"NaN"))
    assert type(dead) is Invalid
    assert "NaN is no number of JSON" in dead.reason


@pytest.mark.parametrize("around", [b'{"batch":[%s]}', b"[%s]"])
def test_of_too_many_members_to_examine_none_is_lost(monkeypatch: pytest.MonkeyPatch, around: bytes) -> None:
    monkeypatch.setattr(walk, "MANY", 3)
    line = around % b",".join([call(b"NaN"), *[GOOD] * 2])
    assert [type(one) for one in read(line)] == [Invalid, Event, Event]
    line = around % b",".join([call(b"NaN"), *[GOOD] * 5])
    (dead,) = read(line)
    assert type(dead) is Invalid
    assert dead.raw == line
