"""`ordering: per_user` through failing answers and restarts of the job."""

from __future__ import annotations

from pathlib import Path

import pytest
from ordering import ordering


def test_each_users_order_is_exact_through_failures_and_restarts(tmp_path: Path):
    print(ordering(tmp_path, users=50, each=10, restarts=4, seed=1).line())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(3))
def test_fifty_users_with_forty_deliveries_each_keep_their_order(tmp_path: Path, seed: int):
    print(ordering(tmp_path, users=50, each=40, restarts=12, seed=seed).line())
