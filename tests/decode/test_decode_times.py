from __future__ import annotations

from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.decode import decode
from pipeline.decode.scan import scan
from pipeline.decode.shapes import SHAPES
from pipeline.model.times import MAX_MS, MIN_MS, format_iso, is_plainly_iso, parse_time
from pipeline.sources.chunk import NOWHERE, RawChunk
from tests.decode.reading import HERE, NOON, one
from tests.kit.streams.shapes import shape

ZERO_TIMES = ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00", -62_135_596_800)


@pytest.mark.parametrize("zero", ZERO_TIMES)
def test_the_time_that_go_and_dotnet_write_for_none_is_none(zero: object) -> None:
    own = shape("- event: {name: n, user_id: u, time: t}")
    for line, by in (
        ({"type": "event", "name": "E", "user_id": "u", "time": zero}, SHAPES["native"]),
        ({"type": "track", "event": "E", "userId": "u", "timestamp": zero}, SHAPES["segment"]),
        ({"n": "E", "u": "u", "t": zero}, own),
    ):
        raw = orjson.dumps(line)
        chunk = RawChunk("p", "a.jsonl", [7], [raw], NOWHERE, received=[NOON])
        (quick,) = scan(chunk, format=by, wants=lambda name, kind: True).records
        (slow,) = decode(raw, format=by, origin=HERE, received_at=NOON)
        assert (quick.time, slow.time) == (NOON, NOON)  # type: ignore[union-attr]  # both are events
    call = {"type": "track", "event": "E", "userId": "u", "timestamp": zero, "originalTimestamp": NOON}
    assert one(call).time == NOON


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("2026-11-23T14:50:00.123Z", "2026-11-23T14:50:00.123Z"),
        ("2026-11-23T14:50:00.123456789Z", "2026-11-23T14:50:00.123Z"),
        ("2026-11-23T14:50:00", "2026-11-23T14:50:00.000Z"),
        ("2026-11-23 14:50", "2026-11-23T14:50:00.000Z"),
        ("2026-11-23", "2026-11-23T00:00:00.000Z"),
        ("20261123T145000Z", "2026-11-23T14:50:00.000Z"),
        ("2015-05-17T10:05:03+0000", "2015-05-17T10:05:03.000Z"),
        ("2015-05-17T10:05:03+05:30", "2015-05-17T04:35:03.000Z"),
        ("2015-2-02T00:30:08.276Z", "2015-02-02T00:30:08.276Z"),
        ("2026-11-23t14:50:00z", "2026-11-23T14:50:00.000Z"),
        (1694769302, "2023-09-15T09:15:02.000Z"),
        (1694769302.319, "2023-09-15T09:15:02.319Z"),
        (1694769302319, "2023-09-15T09:15:02.319Z"),
        ("1694769302", "2023-09-15T09:15:02.000Z"),
        ("1694769302319", "2023-09-15T09:15:02.319Z"),
        ("1712110112123", "2024-04-03T02:08:32.123Z"),
        ("1700000000.123", "2023-11-14T22:13:20.123Z"),
        ("-1700000000.5", "1916-02-18T01:46:39.500Z"),
        (1700000000123456, "2023-11-14T22:13:20.123Z"),
        ("1700000000123999", "2023-11-14T22:13:20.123Z"),
        ("1700000000123456789", "2023-11-14T22:13:20.123Z"),
        (1700000000123456789, "2023-11-14T22:13:20.123Z"),
        ("253402300799999", "9999-12-31T23:59:59.999Z"),
        ("\t 1694769302 \n", "2023-09-15T09:15:02.000Z"),
        (" 2026-11-23T14:50:00Z ", "2026-11-23T14:50:00.000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
        ("2017-01-01T00:59:60.5+01:00", "2017-01-01T00:00:00.500Z"),
        ("2026-11-23T24:00Z", "2026-11-24T00:00:00.000Z"),
        ("20261123T240000,000", "2026-11-24T00:00:00.000Z"),
        ("2026-11-23T14:50:00,123Z", "2026-11-23T14:50:00.123Z"),
        ("2026-11-23T14:50:00.1+01", "2026-11-23T13:50:00.100Z"),
        ("2026-11-23 14:50:00 +0100", "2026-11-23T13:50:00.000Z"),
        ("2026-11-23 14:50:00 utc", "2026-11-23T14:50:00.000Z"),
        ("2026-11-23T14:50:00+01:00[Europe/Berlin]", "2026-11-23T13:50:00.000Z"),
        ("2026-11-23T14:50Z[Etc/UTC][u-ca=gregory]", "2026-11-23T14:50:00.000Z"),
        ("2026-11-23-05:00", "2026-11-23T05:00:00.000Z"),
        ("2026-11-23+01:00", "2026-11-22T23:00:00.000Z"),
        ("2026-11-23z", "2026-11-23T00:00:00.000Z"),
        ("2026-W48-1", "2026-11-23T00:00:00.000Z"),
        ("2026W481T1450", "2026-11-23T14:50:00.000Z"),
        ("20261123", "2026-11-23T00:00:00.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (-1.5, "1969-12-31T23:59:58.500Z"),
    ],
)
def test_every_form_of_time_is_read(value: object, iso: str) -> None:
    assert format_iso(parse_time(value)) == iso


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "",
        "2026-13-01",
        "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "２０２６-01-01",
        "2026",
        "12:30",
        "1e9",
        "1_700_000_000",
        "1700000000.",
        "1700000000,5",
        "- 1700000000",
        "2026-11-23T14:50:60Z",
        "2026-11-23T24:00:01Z",
        "2026-11-23T25:00Z",
        "2026-11-23T14:50:00+24:00",
        "2026-11-23T",
        "2026-W60-1",
        "0000-01-01",
        "10000-01-01",
        "+010000-01-01",
        "9999-12-31T24:00Z",
        "171211012A123",
        "20261123145000",
        20261123145000,
        "9" * 5000,
        "\ud800",
        True,
        None,
        [],
        {},
        1e300,
        float("nan"),
        float("inf"),
        10**30,
        -(10**30),
    ],
)
def test_what_is_no_time_is_a_value_error_with_a_short_reason(value: object) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_time(value)
    assert len(str(caught.value)) < 200


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("2026-07-01", "2026-06-30T22:00:00.000Z"),
        ("2026-07-01T10:00:00", "2026-07-01T08:00:00.000Z"),
        ("20260701T1000", "2026-07-01T08:00:00.000Z"),
        ("2026-07-01T24:00", "2026-07-01T22:00:00.000Z"),
        ("2026-07-01T10:00:00-05", "2026-07-01T15:00:00.000Z"),
        ("2026-07-01z", "2026-07-01T00:00:00.000Z"),
        ("1700000000", "2023-11-14T22:13:20.000Z"),
        ("1700000000.5", "2023-11-14T22:13:20.500Z"),
        ("-1700000000", "1916-02-18T01:46:40.000Z"),
        (1700000000, "2023-11-14T22:13:20.000Z"),
    ],
)
def test_a_zone_is_for_texts_without_one(value: object, iso: str) -> None:
    assert format_iso(parse_time(value, BERLIN)) == iso


@given(st.integers(10**12, 10**13 - 1))
def test_milliseconds_as_a_text_are_those_milliseconds(ms: int) -> None:
    assert parse_time(str(ms)) == parse_time(ms) == ms


@given(st.integers(MIN_MS, MAX_MS))
def test_what_is_printed_reads_back_the_same(ms: int) -> None:
    assert parse_time(format_iso(ms)) == ms


@given(st.text() | st.floats() | st.integers())
def test_no_input_raises_anything_else(value: object) -> None:
    try:
        assert MIN_MS <= parse_time(value) <= MAX_MS
    except ValueError:
        pass  # the only way out that is promised


@given(st.text("0123456789-+:.,TZWz ", max_size=28))
def test_what_the_first_look_takes_for_a_time_is_one(text: str) -> None:
    if is_plainly_iso(text):
        parse_time(text)
