"""The benches that read topics run, with tiny numbers."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench import engines, latency, sections
from tests.bench.streams.java_peers import NoPeer
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


def test_an_engine_is_measured_cold_and_warm_and_those_that_are_missing_are_named(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> list[str]:
        raise NoPeer(f"no {name} is asked for here")

    monkeypatch.setattr(engines, "command", missing)
    monkeypatch.setattr(engines, "LOOK_SECS", 0.01)
    monkeypatch.delenv(engines.QUIX, raising=False)
    with ExitStack() as stack:
        origin, _ = stack.enter_context(receiver(tmp_path))
        if not engines.counts(origin):
            pytest.skip("nginx is not installed: nothing counts requests")
        bench = sections.Bench(tmp_path, origin, rounds=1, deliveries=3000, stack=stack)
        bench._brokers = broker.address
        engines.engines(bench)
    shown = capsys.readouterr().out
    for peer in ("Flink: no flink", "Kafka Streams: no streams", "Quix Streams: no interpreter"):
        assert f"LEFT OUT: {peer}" in shown
    cold, warm = (line.split() for line in shown.splitlines() if line.startswith("hookline"))
    assert float(cold[1]) > float(warm[1]) > 0


def test_events_of_a_topic_are_followed_to_their_posts(broker: Broker) -> None:
    one = latency.measure(200, 0.5, 1.5, kafka=broker.address, busy=True)
    assert one.arrived >= 90
    assert 0 < one.p50_ms <= one.p99_ms <= one.max_ms
