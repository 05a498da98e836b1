"""A few hundred made-up conditions, templates and answers, the same in every run; `make fuzz` has more."""

from __future__ import annotations

import pytest

from tests.hostile.dear.fuzz import TRIED, attempt_all


@pytest.mark.timeout(100)
@pytest.mark.parametrize("name", TRIED)
def test_whatever_is_made_up_gets_a_verdict(name: str):
    attempt_all(name, 150, number=20_261_128)
