"""What tests of followed files leave open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from pipeline.sources.growth import Growth


@pytest.fixture(autouse=True)
def nothing_is_listened_to_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what listens: the system has 128 of them for all processes of a user."""
    begun: list[Growth] = []
    begin = Growth.__init__

    def noted(growth: Growth, paths: Iterable[str]) -> None:
        begin(growth, paths)
        begun.append(growth)

    monkeypatch.setattr(Growth, "__init__", noted)
    yield
    for growth in begun:
        growth.close()
