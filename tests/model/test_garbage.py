"""A process that goes on for long does not keep the garbage of its edits for hours."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from pipeline.model.process import garbage


class Knot:
    """What only the collector can take away."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def threshold() -> Iterator[None]:
    before = gc.get_threshold()
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def knots() -> int:
    return sum(type(one) is Knot for one in gc.get_objects())


@pytest.mark.usefixtures("threshold")
def test_a_settled_process_takes_away_what_edits_have_left():
    garbage.starting()
    garbage.settled()
    kept: list[list[Knot]] = []
    most = 0
    for _ in range(70):  # edits: what one has made lasts until the third one after it
        kept = [[Knot() for _ in range(2_000)], *kept[:2]]
        most = max(most, knots())
    assert most < 100_000


@pytest.mark.usefixtures("threshold")
def test_the_process_of_somebody_else_is_left_alone():
    before = gc.get_threshold()
    garbage.settled()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


@pytest.mark.usefixtures("threshold")
def test_a_process_that_ends_walks_through_nothing_of_what_is_there():
    gc.disable()
    try:
        knot = Knot()
        seen = weakref.ref(knot)
        del knot
        garbage.ending()
    finally:
        gc.enable()
    gc.collect()
    assert seen() is not None
