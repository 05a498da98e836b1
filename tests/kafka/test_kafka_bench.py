"""The benches that read topics run, with tiny numbers."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench import latency, sections
from tests.bench.streams.servers import receiver
from tests.kafka.servers.broker import Broker


def test_a_job_reads_a_filled_topic_to_its_end_and_is_measured(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        origin, _ = stack.enter_context(receiver(tmp_path))
        bench = sections.Bench(
            tmp_path, origin, rounds=1, warm_up=False, events=1000, shares=(0.05,), stack=stack
        )
        bench._brokers = broker.address
        sections.kafka(bench)
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row[:2] == ["5%", "fires"]
    assert float(row[2]) > 0


def test_events_of_a_topic_are_followed_to_their_posts(broker: Broker) -> None:
    one = latency.measure(200, 0.5, 1.5, kafka=broker.address, busy=True)
    assert one.arrived >= 90
    assert 0 < one.p50_ms <= one.p99_ms <= one.max_ms
