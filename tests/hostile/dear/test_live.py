"""A job that reads bombs of every kind goes on delivering, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.bombs.run import calibrate
from tests.hostile.dear.live import BOMBS, passing
from tests.kit.programs.jobs import quantile

TRIES = 3
"""Times that the waits may be measured: a machine that is busy with something else is so for a while."""
LOOPS = 8
"""Loops of 250,000 turns that a bomb may take of the job, from first byte to dead letter: it takes three."""


@pytest.mark.timeout(330)
def test_bombs_of_every_kind_pass_beside_a_webhook_that_is_well(tmp_path: Path):
    for number in range(TRIES):
        figures = passing(tmp_path / str(number), rounds=1, events=8 * len(BOMBS), per_sec=14, every=8)
        print(figures.line())
        assert figures.dead == len(BOMBS)
        # A bomb is a moment of silence: of eight events it meets two. The floor is for a busy machine.
        if quantile(figures.bombed, 0.6) < max(2 * quantile(figures.quiet, 0.6), 100):
            break
    else:
        pytest.fail(f"the webhook beside them waited, {TRIES} times: {figures.line()}")
    # How long that moment is, in time of the job's own: whatever else the machine does.
    assert figures.secs_per_bomb < LOOPS * max(calibrate() for _ in range(3))
    assert figures.peak < figures.idle + (200 << 20)
