"""Money: what filters make of numbers is what their printed digits give, in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from pipeline.render.filters.numbers import divided_by, format_number, minus, modulo, plus, round_, times

Number: TypeAlias = int | float | str
AMOUNTS = st.one_of(
    st.integers(-(10**6), 10**6),
    st.integers(-(10**9), 10**9).map(lambda cents: cents / 100),
    st.decimals(-(10**6), 10**6, places=3).map(str),
    st.floats(-1e9, 1e9).map(lambda number: round(number, 9)),
    st.sampled_from([0, 0.0, -0.0, 0.1, 0.5, 1.005, 2.5, 2.675, -2.5]),
)


def exact(number: Number) -> Fraction:
    return Fraction(number if isinstance(number, str) else repr(number))


def is_whole(*numbers: Number) -> bool:
    return all(isinstance(one, int) or (isinstance(one, str) and "." not in one) for one in numbers)


@given(AMOUNTS, AMOUNTS)
def test_sums_products_quotients_and_remainders_are_those_of_the_digits(left: Number, right: Number) -> None:
    x, y = exact(left), exact(right)
    wanted: dict[Any, Fraction | int] = {plus: x + y, minus: x - y, times: x * y}
    if y:
        wanted |= {divided_by: x // y if is_whole(left, right) else x / y, modulo: x - y * (x // y)}
    for made, result in wanted.items():
        found = made(left, right)
        assert type(found) is (int if is_whole(left, right) else float)
        # Of forty digits the last may be rounded before the float is.
        assert math.isclose(found, float(result), rel_tol=3e-16)


@given(AMOUNTS, st.integers(-4, 8))
def test_halves_are_rounded_away_from_zero(number: Number, digits: int) -> None:
    x, unit = exact(number), Fraction(10) ** digits
    steps = math.floor(abs(x) * unit + Fraction(1, 2))
    sign = -1 if x < 0 else 1
    if abs(x) < 1 << 64:
        assert round_(number, digits) == float(sign * steps / unit)
    if digits >= 0:
        whole, rest = divmod(steps, 10**digits)
        shown = f"{whole:,}" + (f".{rest:0{digits}d}" if digits else "")
        assert format_number(number, digits) == ("-" if steps and sign < 0 else "") + shown
