"""When a source wants to be polled again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.job.steps.source import SourcePartition
from pipeline.sources.reader import BaseReader, Reader


@pytest.mark.parametrize(
    ("reader", "gave", "soon"),
    [
        (BaseReader(), False, False),
        (SimpleNamespace(expects_answer=False), False, False),
        (SimpleNamespace(expects_answer=True), True, False),
        (SimpleNamespace(expects_answer=True), False, True),
    ],
)
def test_an_answer_that_is_due_is_looked_for_before_the_next_millisecond(
    reader: BaseReader | SimpleNamespace, gave: bool, soon: bool
) -> None:
    partition = SourcePartition.__new__(SourcePartition)
    partition.reader, partition.gave = cast(Reader, reader), gave
    before = datetime.now(UTC)
    at = partition.next_awake()
    assert (at is not None) is soon
    if at is not None:
        assert before < at < datetime.now(UTC) + timedelta(milliseconds=1)
