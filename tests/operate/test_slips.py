"""Files with slips made at random, the same in every run; `make fuzz` has more."""

from __future__ import annotations

import random

from tests.operate.slips import disagreement


def test_check_and_the_editor_agree_on_slips() -> None:
    chance = random.Random(20_261_130)
    found = [told for _ in range(600) if (told := disagreement(chance)) is not None]
    assert found == []
