"""Chunks grow while little of what is read goes on, and shrink at once when much does."""

from __future__ import annotations

from pipeline.job.steps.select import MAX_STRETCH, stretched
from pipeline.sources.chunk import CHUNK_LINES


def test_chunks_of_which_little_is_left_grow_to_a_bound() -> None:
    stretch = 1
    for _ in range(20):
        stretch = stretched(stretch, 5 * stretch, stretch * CHUNK_LINES)
    assert stretch == MAX_STRETCH


def test_a_burst_of_wanted_events_makes_them_short_again() -> None:
    assert stretched(MAX_STRETCH, CHUNK_LINES + 1, MAX_STRETCH * CHUNK_LINES) == 1


def test_what_a_live_stream_has_at_a_time_changes_nothing() -> None:
    assert stretched(1, 0, CHUNK_LINES - 1) == 1
    assert stretched(3, 1, 10) == 3


def test_enough_is_left_of_a_chunk_and_it_stays_as_long_as_it_is() -> None:
    assert stretched(2, CHUNK_LINES // 2, 2 * CHUNK_LINES) == 2
