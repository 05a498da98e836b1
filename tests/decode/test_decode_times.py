from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.times import MAX_MS, MIN_MS, format_iso, parse_time


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


@given(st.integers(MIN_MS, MAX_MS))
def test_what_is_printed_reads_back_the_same(ms: int) -> None:
    assert parse_time(format_iso(ms)) == ms


@given(st.text() | st.floats() | st.integers())
def test_no_input_raises_anything_else(value: object) -> None:
    try:
        assert MIN_MS <= parse_time(value) <= MAX_MS
    except ValueError:
        pass  # the only way out that is promised
