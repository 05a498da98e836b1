"""`ordering: per_user` through failing answers and restarts of the job."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.ordering import ordering


def test_each_users_order_is_exact_through_failures_and_restarts(tmp_path: Path):
    print(ordering(tmp_path, users=50, each=10, restarts=4, seed=1).line())
