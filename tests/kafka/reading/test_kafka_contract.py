"""The contract of readers, kept by those of topics and by paced ones over them."""

from __future__ import annotations

import pytest

from pipeline.sources.chunk import Position
from pipeline.sources.paced import Paced
from pipeline.sources.reader import Reader
from tests.kafka.servers.topics import Topics
from tests.kit.streams.reader_contract import Case, ReaderContract


class TestKafkaReaders(ReaderContract):
    @pytest.fixture(params=["one topic", "two topics", "paced topic", "paced topics"])
    def case(self, request: pytest.FixtureRequest, topics: Topics) -> Case:
        lines = [b'{"timestamp":%d}' % (1_700_000_000 + n) for n in range(23)]
        events = topics.create("events")
        users: tuple[str, ...] = ()
        if request.param.endswith("topics"):
            users = (topics.create("users"),)
        for n, line in enumerate(lines):
            topics.send(users[0] if users and n % 3 == 0 else events, line, time_ms=100 + n)

        def open_(position: Position | None) -> Reader:
            reader = topics.open(position, events=(events,), users=users, stop="end")
            return Paced(reader, 1000.0) if request.param.startswith("paced") else reader

        return Case(open_, lines)
