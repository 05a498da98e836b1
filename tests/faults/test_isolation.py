"""P4: a receiver that is slow, failing or gone delays nobody else's deliveries and never stops the job."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.isolation import isolation


def test_sick_receivers_hold_up_nobody_and_get_everything_when_they_heal(tmp_path: Path):
    figures = isolation(tmp_path, webhooks=60, events=30, per_sec=30, patience=45)
    print(figures.line())
    assert figures.rss_sick < figures.rss_well + (150 << 20)
