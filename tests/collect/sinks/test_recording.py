"""What is handed over is on disk when it is called kept, once, in order, in a folder that is ours alone."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pipeline.collect.batch import Refused, Why
from pipeline.model.errors import StateError
from pipeline.telemetry import metrics
from tests.collect.sinks.kit import batch, in_loop, kept, member, named, opened, segments, values


@in_loop
async def test_what_is_kept_was_synced_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = opened(tmp_path)
    synced: list[str] = []
    sync = os.fdatasync

    def seen(descriptor: int) -> None:
        sync(descriptor)
        synced[:] = values(tmp_path)

    monkeypatch.setattr(os, "fdatasync", seen)
    for number in range(5):
        assert await sink.keep(named(f"a{number}", f"b{number}")) == 0
        assert {f"a{number}", f"b{number}"} <= set(synced)
    await sink.close()
    assert len(kept(tmp_path)) == 10


@in_loop
async def test_lines_say_where_they_come_from_and_are_numbered(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    await asyncio.gather(*(sink.keep(named(f"m{number}")) for number in range(50)))
    await sink.close()
    lines = kept(tmp_path)
    assert [line.offset for line in lines] == list(range(50))
    assert len({line.source for line in lines}) == 1
    assert lines[0].source.startswith("collect-")
    assert lines[0].key == b"u1"
    assert dict(lines[0].headers or ())["hk-key"] == b"server"


@in_loop
async def test_a_second_collector_is_told_that_the_folder_is_taken(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    with pytest.raises(StateError, match=r"another collector .* another folder"):
        opened(tmp_path)
    await sink.close()
    await opened(tmp_path).close()


@in_loop
async def test_a_closed_sink_refuses(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    await sink.close()
    with pytest.raises(Refused) as refused:
        await sink.keep(batch(member("late")))
    assert refused.value.why is Why.STOPPING
    assert segments(tmp_path) == []


@in_loop
async def test_what_is_kept_and_what_waits_is_measured(tmp_path: Path) -> None:
    metrics.reset()
    sink = opened(tmp_path, order_secs=60.0)
    await sink.keep(named("a", "b", "b"))
    held = sink.hand(named("c", page=True))
    assert sink._intake.waiting_bytes > 0
    sink.measure()
    assert metrics.read("collect_kept_lines_total") == 2
    assert metrics.read("collect_kept_bytes_total") == (tmp_path / segments(tmp_path)[0]).stat().st_size
    assert metrics.read("collect_remembered") == 2
    assert metrics.read("collect_oldest_waiting_seconds") > 0
    assert 1 <= sink._intake.retry_secs <= 60
    await sink.close()
    sink.measure()
    assert held.result() == 0
    assert sink._intake.waiting_bytes == 0
    assert metrics.read("collect_oldest_waiting_seconds") == 0
