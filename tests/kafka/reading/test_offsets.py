"""The offsets of messages that were fetched together, and those that brokers answer."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaException

from pipeline.kafka.admin import offset_of
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


@pytest.mark.parametrize("offset", [7, 0, -1])
def test_an_answer_is_an_offset_or_says_that_no_record_is_as_young(offset: int) -> None:
    assert offset_of(SimpleNamespace(offset=offset)) == offset


def test_none_is_no_offset_but_a_question_that_was_not_answered_in_time() -> None:
    with pytest.raises(KafkaException, match="_TIMED_OUT"):
        offset_of(SimpleNamespace(offset=OFFSET_INVALID))
