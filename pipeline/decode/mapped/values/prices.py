"""The cost of forms: counted while they run, estimated beforehand for a whole line (fast_path/glance.py)."""

from __future__ import annotations

from typing import Any, Final

import re2

from pipeline.decode.work import spend_work
from pipeline.language.work import BUDGET, CHARS, FEW_STATES, PER_INSTRUCTION
from pipeline.model.json import Value

STEP: Final = 3
"""Work of each value from which a path with `[*]` continues. All prices are measured: a unit is
some 50 ns."""
PAIR: Final = 8
"""Likewise for each of `pairs`."""
_FREE: Final = 256
"""Texts up to this length are joined, parsed, lowered for free; `each` may do that 10,000 times."""
_PARSED: Final = 4
"""Work per 16 characters of JSON."""
_LOWERED: Final = 8
"""Likewise for lowering text beyond ASCII."""
_PER_MATCHED: Final = 3
"""Work per 16 matched characters and instruction of a pattern: they are read again for the group."""
_COUNTED: Final = 16
"""Cheaper searches are not counted: counting would cost more."""

_PER_QUESTION: Final = 64
"""Work of asking for the length of a match, relative to the price of an instruction."""


def spend_joined(size: int) -> None:
    """Count the work of joining a text."""
    if size > _FREE:
        spend_work(size // CHARS)


def spend_parsed(text: str) -> None:
    """Count the reading of a JSON text."""
    if len(text) > _FREE:
        spend_work(_PARSED * len(text) // CHARS)


def spend_lowered(text: str) -> None:
    """Count the lowering of a text."""
    if len(text) > _FREE:
        spend_work((1 if text.isascii() else _LOWERED) * len(text) // CHARS)


def program_of(pattern: str) -> Any:
    """Return the pattern as compiled by RE2. Raises re2.error, UnicodeEncodeError."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def search_price(program_size: int) -> int:
    """Return the work of a search per 16 characters."""
    return program_size if program_size <= FEW_STATES else PER_INSTRUCTION * program_size


def spend_search(price: int, size: int) -> None:
    """Count a search in a text of this size."""
    cost = price * (size // CHARS)
    if cost > _COUNTED:
        spend_work(cost)


def costs_to_match(program_size: int, size: int) -> bool:
    """Return whether a match in a text of this size may cost more than asking for its length."""
    return program_size * (size // CHARS) > _PER_QUESTION


def spend_match(program_size: int, size: int) -> None:
    """Count the work of a group of a match of this size."""
    spend_search(_PER_MATCHED * program_size, size)


def longest_cheap(values: list[Value]) -> int:
    """Return the length of line up to which these sources certainly stay within the budget."""
    price = sum(_most(value)[1] for value in values)
    return int(CHARS * BUDGET / price) if price else 1 << 62


def _most(value: Value) -> tuple[float, float]:
    """Return a source's maximum size relative to its line, and its work per 16 characters of the line."""
    if isinstance(value, list):
        several = [_most(one) for one in value]
        return max((length for length, _ in several), default=0), sum(price for _, price in several)
    if not isinstance(value, dict):
        return 1, 0
    if isinstance(parts := value.get("join"), list):
        found = [_most(one) for one in parts]
        length = sum(length for length, _ in found)
        price = length + sum(price for _, price in found)
    else:
        found = [_most(one) for one in value.values()]
        length = max((length for length, _ in found), default=0)
        price = sum(price for _, price in found)
    if "json" in value:
        price += _PARSED * length
    if "lower" in value:
        price += _LOWERED * length
    if isinstance(pattern := value.get("find"), str):
        size = _size(pattern)
        price += (search_price(size) + _PER_MATCHED * size) * length
    return length, price


def _size(pattern: str) -> int:
    try:
        size: int = program_of(pattern).programsize
    except (re2.error, UnicodeEncodeError):
        return 0  # already reported where it is compiled
    return size
