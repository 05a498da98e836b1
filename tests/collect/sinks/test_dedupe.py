"""What is sent twice is kept once, and only called kept when the first of them is on disk."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pipeline.collect.batch import Member, Refused
from pipeline.collect.sinks.dedupe import Ring
from tests.collect.sinks.kit import batch, in_loop, member, named, opened, segments, values


@in_loop
async def test_twenty_connections_that_send_the_same_at_once_make_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, synced, sync = opened(tmp_path), list[str](), os.fdatasync

    def seen(descriptor: int) -> None:
        sync(descriptor)
        synced[:] = values(tmp_path)

    monkeypatch.setattr(os, "fdatasync", seen)

    async def send() -> int:
        repeats = await sink.keep(named("same"))
        assert synced == ["same"]
        return repeats

    assert sorted(await asyncio.gather(*(send() for _ in range(20)))) == [0] + [1] * 19
    assert await sink.keep(named("same", "other", "other")) == 2
    await sink.close()
    assert values(tmp_path) == ["same", "other"]


@in_loop
async def test_a_repeat_of_what_is_under_way_is_refused_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = opened(tmp_path)
    with monkeypatch.context() as failing:
        failing.setattr(os, "fdatasync", _fails)
        outcomes = [sink.hand(named("same")), sink.hand(named("same", "new")), sink.hand(named("same"))]
        done = await asyncio.gather(*outcomes, return_exceptions=True)
    assert all(isinstance(outcome, Refused) for outcome in done)
    assert sink._intake.waiting_bytes == 0
    assert await sink.keep(named("same", "new")) == 0
    await sink.close()
    assert values(tmp_path) == ["same", "new"]


@in_loop
async def test_a_member_that_holds_the_text_of_a_line_makes_no_repeat(
    tmp_path: Path,
) -> None:
    sink, victim = opened(tmp_path), member("victim")
    assert victim.same is not None
    line = (
        b'{"hookline":1,"source":"collect-00000000/0","offset":1,"time":4102444800000,'
        b'"headers":[["hk-same","%b"]]}' % victim.same.hex().encode()
    )
    await sink.keep(batch(Member(b'{"properties":%b}' % line, "u1", None, None, ())))
    await sink.close()
    sink = opened(tmp_path)
    assert await sink.keep(batch(victim)) == 0
    await sink.close()
    assert values(tmp_path)[1:] == ["victim"]


@in_loop
async def test_a_client_that_gives_up_takes_nothing_back(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    given_up = sink.hand(named("same"))
    repeat = sink.hand(named("same"))
    given_up.cancel()
    assert await repeat == 1
    await sink.close()
    assert values(tmp_path) == ["same"]


@in_loop
async def test_after_a_restart_what_was_kept_lately_is_known(tmp_path: Path) -> None:
    now = {"ms": 1_764_000_000_000}
    for life in range(3):
        sink = opened(tmp_path, segment_bytes=1, clock_ms=lambda: now["ms"])
        assert await sink.keep(batch(member("same"), member(f"m{life}"), received_ms=now["ms"])) == (life > 0)
        await sink.keep(batch(member("odd", 'u"1\\'), received_ms=now["ms"]))
        await sink.close()
        now["ms"] += 60_000
    assert values(tmp_path) == ["same", "m0", "odd", "m1", "m2"]
    now["ms"] += 3_600_000
    sink = opened(tmp_path, clock_ms=lambda: now["ms"])
    assert await sink.keep(batch(member("same"), received_ms=now["ms"])) == 0
    await sink.close()


@in_loop
async def test_members_without_an_id_are_never_repeats(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    assert await sink.keep(batch(member("m", same=False), member("m", same=False))) == 0
    assert await sink.keep(batch(member("m", same=False))) == 0
    await sink.close()
    assert values(tmp_path) == ["m"] * 3


@in_loop
async def test_a_start_looks_no_further_back_than_it_has_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at = 1_764_000_000_000
    for life in range(3):
        sink = opened(tmp_path, compress=False, clock_ms=lambda: at)
        await sink.keep(batch(member(f"m{life}", same=False), received_ms=at + life * 3_600_000))
        await sink.close()
    oldest = tmp_path / segments(tmp_path)[0]
    oldest.rename(oldest.with_name(f"{oldest.name}.zst"))  # whoever reads it says that it is damaged
    await opened(tmp_path, clock_ms=lambda: at + 2 * 3_600_000).close()
    assert "cannot be read" not in caplog.text
    await opened(tmp_path, clock_ms=lambda: at).close()
    assert "cannot be read" in caplog.text


@in_loop
async def test_a_damaged_segment_stops_no_start(tmp_path: Path) -> None:
    sink = opened(tmp_path, compress=False)
    await sink.keep(named("m0"))
    await sink.close()
    (tmp_path / segments(tmp_path)[0]).rename(tmp_path / "00000000000000000000.rec.jsonl.zst")
    sink = opened(tmp_path)
    assert await sink.keep(named("m0")) == 0
    await sink.close()


@in_loop
async def test_a_stop_waits_for_a_page_that_repeats_what_is_under_way(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    outcomes = [sink.hand(named("same", page=True)), sink.hand(named("same", "new", page=True))]
    await sink.close()
    assert [outcome.result() for outcome in outcomes] == [0, 1]
    assert values(tmp_path) == ["same", "new"]


def test_the_ring_forgets_by_time_and_no_digest_before_its_time() -> None:
    ring = Ring(64.0)
    for second in range(200):
        ring.expire(second)
        ring.add([b"%d" % second], second)
        assert ring.known >= {b"%d" % kept for kept in range(max(0, second - 63), second + 1)}
    assert len(ring) <= 67


def test_a_full_ring_forgets_the_oldest_and_counts_them() -> None:
    ring = Ring(600.0, most=1000)
    for number in range(5000):
        ring.add([b"%d" % number], 0.0)
    assert 900 <= len(ring) <= 1000
    assert ring.forgotten == 5000 - len(ring)
    assert b"4999" in ring.known


def test_a_ring_of_no_time_knows_nothing() -> None:
    ring = Ring(0.0)
    ring.add([b"a"], 0.0)
    assert not ring.known


def _fails(*_: object) -> None:
    raise OSError(5, "Input/output error")
