"""The offsets of messages that were fetched together."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pipeline.sources.topics.message_chunk import offsets_of


@dataclass
class Fetched:
    """A message of which nothing is asked but its place."""

    at: int

    def offset(self) -> int:
        return self.at


@pytest.mark.parametrize("offsets", [[], [7], [7, 8, 9], [7, 9, 10], [0, 5]])
def test_they_are_those_of_the_messages_also_across_gaps(offsets: list[int]) -> None:
    assert offsets_of([Fetched(offset) for offset in offsets]) == offsets
