"""A job that reads bombs of every kind goes on delivering, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.live import BOMBS, passing
from tests.kit.jobs import quantile


@pytest.mark.timeout(110)
def test_bombs_of_every_kind_pass_beside_a_webhook_that_is_well(tmp_path: Path):
    figures = passing(tmp_path, rounds=1, events=8 * len(BOMBS), per_sec=14, every=8)
    print(figures.line())
    assert figures.dead == len(BOMBS)
    # A bomb is a moment of silence; the floor is for a machine that has others to do.
    assert quantile(figures.bombed, 0.5) < max(2 * quantile(figures.quiet, 0.5), 250)
    assert figures.peak < figures.idle + (200 << 20)
