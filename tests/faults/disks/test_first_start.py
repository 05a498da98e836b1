"""P1 from the first instant on: what a killed first start leaves is taken by the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.first_start import Instant, first_start

# The last of some 36 files and folders is a journal; what lies between is killed by `make chaos`.
ALONE: list[Instant] = [1, 5, 8, 12, 17, 25, 0.05, 0.2]
TOGETHER: list[Instant] = [6, 14, 30]


@pytest.mark.parametrize(("processes", "instants"), [(1, ALONE), (2, TOGETHER)])
def test_a_first_start_killed_at_any_instant_leaves_what_the_next_start_takes(
    tmp_path: Path, processes: int, instants: list[Instant]
):
    print(first_start(tmp_path, instants=instants, processes=processes).line())
