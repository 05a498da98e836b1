"""P4: a receiver that is slow, failing or gone delays nobody else's deliveries and never stops the job."""

from __future__ import annotations

from pathlib import Path

import pytest
from isolation import isolation


def test_sick_receivers_hold_up_nobody_and_get_everything_when_they_heal(tmp_path: Path):
    figures = isolation(tmp_path, webhooks=60, events=30, per_sec=30, patience=45)
    print(figures.line())
    assert figures.rss_sick < figures.rss_well + (150 << 20)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_webhooks_do_not_feel_four_sick_ones(tmp_path: Path):
    figures = isolation(tmp_path, webhooks=1000, events=60, per_sec=3, patience=200)
    print(figures.line())
    assert figures.rss_sick < figures.rss_well + (300 << 20)
