"""repeat, limit and dedupe: per user and `by` value, on event time, in log order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.join.caps import Caps
from pipeline.join.limits import Limits, Verdict, check
from pipeline.model.json import Value
from tests.kit.streams.matching import trigger_of
from tests.kit.streams.records import NOON, event, user

MINUTE, HOUR = 60_000, 3_600_000
FIRE, SUPPRESS, NOT_YET = Verdict.FIRE, Verdict.SUPPRESS, Verdict.NOT_YET


class Rows(Caps):
    """Rows in memory that remember expiries, and lose what has expired when told."""

    def __init__(self) -> None:
        self.rows: dict[bytes, tuple[bytes, int | None]] = {}

    def get(self, key: bytes) -> bytes | None:
        found = self.rows.get(key)
        return None if found is None else found[0]

    def put(self, key: bytes, value: bytes, expires_ms: int | None) -> None:
        self.rows[key] = (value, expires_ms)

    def drop_expired(self, now: int) -> None:
        self.rows = {key: row for key, row in self.rows.items() if row[1] is None or row[1] > now}


def limits(
    webhook_id: str = "w", *, repeat: Value = None, limit: Value = None, dedupe: Value = None
) -> Limits:
    webhook: dict[str, Any] = {"trigger": {"events": "*", "repeat": repeat}, "limit": limit, "dedupe": dedupe}
    found = trigger_of(webhook, webhook_id).limits
    assert found is not None
    return found


def run(
    spec: Limits, times: Iterable[int | None], rows: Rows | None = None, by: str = "u1", **properties: Value
) -> list[Verdict]:
    store = rows or Rows()
    return [
        check(
            spec, store, by, event(time=None if at is None else NOON + at, properties=properties), user(id=by)
        )
        for at in times
    ]


def fired(verdicts: Iterable[Verdict]) -> list[int]:
    return [number for number, verdict in enumerate(verdicts) if verdict is FIRE]


# --- limit


def test_at_most_count_per_time_go_out_and_the_rest_is_suppressed() -> None:
    spec = limits(limit={"per": "user", "count": 1, "every": "24h"})
    assert run(spec, [0, 1, 23 * HOUR, 24 * HOUR, 47 * HOUR, 48 * HOUR]) == [
        FIRE,
        SUPPRESS,
        SUPPRESS,
        FIRE,
        SUPPRESS,
        FIRE,
    ]


def test_the_window_slides() -> None:
    spec = limits(limit={"count": 2, "every": "1h"})
    assert fired(run(spec, [0, 50 * MINUTE, 55 * MINUTE, 60 * MINUTE, 65 * MINUTE, 110 * MINUTE])) == [
        0,
        1,
        3,
        5,
    ]


def test_ever_means_once_and_for_all() -> None:
    spec = limits(limit={"every": "ever"})
    rows = Rows()
    assert fired(run(spec, [0, HOUR, 10_000 * HOUR], rows)) == [0]
    rows.drop_expired(1 << 60)
    assert fired(run(spec, [20_000 * HOUR], rows)) == []
    for by in (None, "event.id"):
        several = limits("v", limit={"count": 3, "every": "ever", "by": by})
        assert fired(run(several, [0, 1, 2, 3, 4])) == [0, 1, 2]


def test_users_webhooks_and_by_values_count_apart() -> None:
    rows = Rows()
    spec = limits(limit={"every": "24h", "by": "event.properties.page"})
    assert run(spec, [0, 1], rows, page="a") == [FIRE, SUPPRESS]
    assert run(spec, [2], rows, page="b") == [FIRE]
    assert run(spec, [3], rows, by="u2", page="a") == [FIRE]
    assert run(limits("v", limit={"every": "24h", "by": "event.properties.page"}), [4], rows, page="a") == [
        FIRE
    ]
    assert run(spec, [5], rows, page=5) == [FIRE]
    assert run(spec, [6], rows, page=5.0) == [SUPPRESS]
    assert run(spec, [7], rows, page="5") == [FIRE]
    assert run(spec, [8], rows, page={"a": [1]}) == [FIRE]
    assert run(spec, [9], rows, page={"a": [1]}) == [SUPPRESS]


@pytest.mark.parametrize("other", [5.0, [5.0], {"a": [5.0]}])
def test_a_by_value_is_the_same_however_its_numbers_are_written(other: Value) -> None:
    rows = Rows()
    spec = limits(dedupe={"by": "event.properties.n"})
    whole = {float: 5, list: [5], dict: {"a": [5]}}[type(other)]
    assert run(spec, [0], rows, n=whole) == [FIRE]
    assert run(spec, [1], rows, n=other) == [SUPPRESS]
    assert run(spec, [2], rows, n="5") == [FIRE]


def test_an_event_without_the_by_value_stands_alone() -> None:
    assert run(limits(limit={"every": "24h", "by": "event.properties.page"}), [0, 1]) == [FIRE, FIRE]
    assert run(limits(repeat={"count": 2, "within": "1h", "by": "event.properties.page"}), [0, 1]) == [
        NOT_YET,
        NOT_YET,
    ]
    assert run(limits(dedupe={"by": "event.properties.page"}), [0, 1]) == [FIRE, FIRE]


def test_a_late_event_is_judged_by_its_own_time() -> None:
    spec = limits(limit={"every": "24h"})
    assert run(spec, [48 * HOUR, 30 * HOUR, 24 * HOUR, 23 * HOUR, 47 * HOUR]) == [
        FIRE,
        SUPPRESS,
        FIRE,
        SUPPRESS,
        SUPPRESS,
    ]


def test_a_late_event_between_two_others_is_over_the_limit_only_where_it_makes_too_many() -> None:
    """Two in ten minutes: 0 and 9 are fine, so are 9 and 18; with 5 there would be three."""
    spec = limits(limit={"count": 2, "every": "10m"})
    assert run(spec, [0, 18 * MINUTE, 9 * MINUTE, 5 * MINUTE, 28 * MINUTE]) == [
        FIRE,
        FIRE,
        FIRE,
        SUPPRESS,
        FIRE,
    ]


@given(st.integers(1, 3), st.lists(st.integers(0, 40), max_size=6))
def test_in_any_order_as_many_are_let_through_as_no_stretch_has_too_many(
    count: int, times: list[int]
) -> None:
    verdicts = run(limits(limit={"count": count, "every": "10m"}), [at * MINUTE for at in times])
    taken: list[int] = []
    for at, verdict in zip(times, verdicts, strict=True):
        fits = all(
            sum(begin <= other < begin + 10 for other in [*taken, at]) <= count
            for begin in range(at - 9, at + 1)
        )
        if len(taken) < 2 * count:  # of more the oldest are forgotten
            assert (verdict is FIRE) == fits
        taken += [at] if verdict is FIRE else []


def test_one_clock_that_is_years_ahead_silences_nobody_and_opens_nothing() -> None:
    spec = limits(limit={"every": "24h"})
    years = 70 * 365 * 24 * HOUR
    assert run(spec, [0, years, HOUR, 24 * HOUR, 25 * HOUR]) == [FIRE, FIRE, SUPPRESS, FIRE, SUPPRESS]
    repeated = limits(repeat={"count": 3, "within": "10m"})
    assert fired(run(repeated, [0, years, MINUTE, 2 * MINUTE])) == [3]


# --- repeat


def test_the_third_within_the_time_fires_and_counting_starts_anew() -> None:
    spec = limits(repeat={"count": 3, "within": "10m"})
    times = [0, MINUTE, 2 * MINUTE, 3 * MINUTE, 4 * MINUTE, 5 * MINUTE, 6 * MINUTE]
    assert run(spec, times) == [NOT_YET, NOT_YET, FIRE, NOT_YET, NOT_YET, FIRE, NOT_YET]


def test_matches_that_are_too_far_apart_do_not_add_up() -> None:
    spec = limits(repeat={"count": 3, "within": "10m"})
    assert fired(run(spec, [0, 8 * MINUTE, 12 * MINUTE, 15 * MINUTE])) == [3]
    assert fired(run(spec, [0, 5 * MINUTE, 10 * MINUTE])) == [2]
    assert fired(run(spec, [0, 5 * MINUTE, 10 * MINUTE + 1])) == []


def test_late_matches_complete_a_repetition() -> None:
    spec = limits(repeat={"count": 3, "within": "10m"})
    assert fired(run(spec, [5 * MINUTE, 9 * MINUTE, 0])) == [2]
    assert fired(run(spec, [20 * MINUTE, 0, 21 * MINUTE, 22 * MINUTE])) == [3]


def test_a_repetition_of_one_always_fires() -> None:
    assert fired(run(limits(repeat={"count": 1, "within": "1h"}), [0, 0, 5])) == [0, 1, 2]


# --- dedupe


def test_a_value_goes_through_once_within_the_time() -> None:
    spec = limits(dedupe={"by": "event.id", "within": "24h"})
    assert run(spec, [0, 1, 24 * HOUR - 1, 24 * HOUR, 24 * HOUR + 1]) == [
        FIRE,
        SUPPRESS,
        SUPPRESS,
        FIRE,
        SUPPRESS,
    ]


def test_events_without_an_id_are_no_duplicates() -> None:
    spec, rows = limits(dedupe={}), Rows()
    assert [check(spec, rows, "u", event(id=None), user()) for _ in range(3)] == [FIRE] * 3
    assert [check(spec, rows, "u", event(id="x"), user()) for _ in range(2)] == [FIRE, SUPPRESS]
    assert rows.rows


def test_events_whose_value_is_null_are_no_duplicates() -> None:
    spec = limits(dedupe={"by": "event.properties.order"})
    assert run(spec, [0, 1, 2], order=None) == [FIRE] * 3
    assert run(spec, [0, 1, 2], order=7) == [FIRE, SUPPRESS, SUPPRESS]


def test_the_three_together_duplicates_first_then_repeat_then_limit() -> None:
    spec = limits(
        repeat={"count": 2, "within": "1h"},
        limit={"every": "24h"},
        dedupe={"by": "event.id", "within": "24h"},
    )
    rows = Rows()

    def on(at: int, event_id: str) -> Verdict:
        return check(spec, rows, "u", event(id=event_id, time=NOON + at), user())

    assert [on(0, "a"), on(1, "a"), on(2, "b"), on(3, "c"), on(4, "d")] == [
        NOT_YET,
        SUPPRESS,
        FIRE,
        NOT_YET,
        SUPPRESS,
    ]


# --- state


def test_state_is_a_few_bytes_with_an_expiry_on_event_time() -> None:
    rows = Rows()
    run(limits(limit={"every": "24h"}), range(0, 1000 * HOUR, HOUR), rows)
    ((key, (value, expires)),) = rows.rows.items()
    assert len(key) <= 32
    assert len(value) <= 16
    assert expires is not None
    assert NOON + 984 * HOUR < expires <= NOON + 1024 * HOUR


@pytest.mark.parametrize("user_key", ["", "u" * 5000, "\x00", "ü", "\ud800", "a\x00b"])
def test_any_user_key_makes_a_key_of_bounded_length(user_key: str) -> None:
    rows = Rows()
    assert run(limits(limit={"every": "24h"}), [0, 1], rows, by=user_key) == [FIRE, SUPPRESS]
    assert all(len(key) < 200 for key in rows.rows)


def test_events_without_any_time_are_counted_at_the_time_of_the_last() -> None:
    assert run(limits(limit={"every": "24h"}), [0, None, None]) == [FIRE, SUPPRESS, SUPPRESS]
    assert run(limits(limit={"every": "24h"}), [None, None]) == [FIRE, SUPPRESS]


TIMES = st.lists(st.integers(0, 200), max_size=40)


@given(times=TIMES, count=st.integers(1, 4), every=st.integers(1, 60))
def test_no_window_of_event_time_holds_more_than_count(times: list[int], count: int, every: int) -> None:
    ordered = sorted(times)
    spec = limits(limit={"count": count, "every": f"{every}m"})
    verdicts = run(spec, [at * MINUTE for at in ordered])
    out = [ordered[number] for number in fired(verdicts)]
    assert all(sum(start <= at < start + every for at in out) <= count for start in out)
    # Nothing is suppressed without a reason: the window before each suppressed event is full.
    for at, verdict in zip(ordered, verdicts, strict=True):
        assert verdict is FIRE or sum(at - every < other <= at for other in out) >= count


@given(times=TIMES, every=st.integers(1, 60))
def test_two_deliveries_are_apart_in_whatever_order_events_come(times: list[int], every: int) -> None:
    recent = times[:3]
    verdicts = run(limits(limit={"every": f"{every}m"}), [at * MINUTE for at in recent])
    out = [recent[number] for number in fired(verdicts)]
    assert all(abs(one - other) >= every for i, one in enumerate(out) for other in out[:i])


@given(times=TIMES, count=st.integers(1, 4), within=st.integers(1, 30))
def test_repeat_in_order_agrees_with_a_plain_count(times: list[int], count: int, within: int) -> None:
    ordered = sorted(times)
    expected, hits = [], list[int]()
    for number, at in enumerate(ordered):
        hits = [hit for hit in hits if at - hit <= within] + [at]
        if len(hits) == count:
            expected.append(number)
            hits = []
    spec = limits(repeat={"count": count, "within": f"{within}m"})
    assert fired(run(spec, [at * MINUTE for at in ordered])) == expected


@given(times=TIMES, window=st.integers(1, 30), kind=st.sampled_from(["limit", "repeat", "dedupe"]))
def test_dropping_expired_rows_changes_nothing(times: list[int], window: int, kind: str) -> None:
    spec = {
        "limit": limits(limit={"count": 2, "every": f"{window}m"}),
        "repeat": limits(repeat={"count": 3, "within": f"{window}m"}),
        "dedupe": limits(dedupe={"by": "event.id", "within": f"{window}m"}),
    }[kind]
    kept, swept = Rows(), Rows()
    for at in sorted(times):
        one = event(time=NOON + at * MINUTE)
        swept.drop_expired(NOON + at * MINUTE - 1)
        assert check(spec, kept, "u", one, user()) is check(spec, swept, "u", one, user())


# --- rows of versions that counted by the id alone


@pytest.mark.parametrize(
    "spec",
    [
        {"dedupe": {"by": "event.id", "within": "24h"}},
        {"limit": {"by": "event.id", "every": "24h"}},
        {"limit": {"by": "event.id", "every": "ever"}},
    ],
)
def test_a_row_of_an_older_version_still_suppresses_whatever_the_source(spec: dict[str, Value]) -> None:
    compiled, rows = limits(**spec), Rows()
    first = event(id="1", time=NOON)
    assert check(compiled, rows, "u", first, user()) is FIRE
    rows.rows = {key: (value[: len(value) // 4 * 4], at) for key, (value, at) in rows.rows.items()}
    again = event(id="1", time=NOON + 1)
    again.id_scope = "/shop"
    assert check(compiled, rows, "u", again, user()) is SUPPRESS
    assert check(compiled, rows, "u", event(id="1", time=NOON + 1), user()) is SUPPRESS


def test_a_row_of_this_version_speaks_for_its_own_scope_alone() -> None:
    compiled, rows = limits(dedupe={"by": "event.id"}), Rows()
    said = []
    for scope in (None, "/de", "/fr", "/de", None):
        one = event(id="1", time=NOON)
        one.id_scope = scope
        said.append(check(compiled, rows, "u", one, user()))
    assert said == [FIRE, FIRE, FIRE, SUPPRESS, SUPPRESS]
