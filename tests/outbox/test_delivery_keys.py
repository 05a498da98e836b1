"""Delivery keys are taken apart as they were made, however long the name of a source is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.model.records import Origin
from pipeline.outbox.applied import FinishedRequests
from pipeline.outbox.codec import (
    DeadLetter,
    Finished,
    cut_name,
    delivery_key,
    key_origin,
    pack_dead,
    replay_key,
    replay_number,
    source_key,
    unpack_dead,
)
from pipeline.outbox.handover import Outcome, Progress, Request
from pipeline.store.store import Store

LONG = [f"{number}/" + "n" * 400 for number in range(400)]


@pytest.mark.parametrize("webhook_id", ["w", ""])
@pytest.mark.parametrize("offset", [0, 255, (1 << 64) - 1])
def test_a_key_is_taken_apart_whatever_the_hash_of_a_long_name_holds(webhook_id: str, offset: int) -> None:
    sources = [*LONG, *("n" * length for length in range(1, 310)), os.fsdecode(b"n" * 200 + b"\xff" * 83)]
    assert any(b"\0" in source_key(source) for source in LONG)
    for source in sources:
        key = delivery_key(webhook_id, Origin(source, offset, 7))
        again = replay_key(replay_key(key, 1), 255)
        for each, number in ((key, 0), (again, 255)):
            found, origin = key_origin(each)
            assert (found, origin.offset, origin.item) == (source_key(source), offset, 7)
            assert replay_number(each) == number


@pytest.mark.parametrize("source", [LONG[0], "n/\udcff" * 200, "r.jsonl"])
def test_a_dead_letter_knows_the_whole_name_of_its_source(source: str) -> None:
    origin = Origin(source, 5, 1)
    letter = DeadLetter(
        kind="record",
        reason="why",
        dead_ms=0,
        request=Request(key=delivery_key("", origin), body=b"raw", created_ms=0),
        source=cut_name(source),
    )
    assert unpack_dead(pack_dead(letter)).origin == origin


def test_finished_requests_of_a_long_source_expire_when_their_origin_has_passed(tmp_path: Path) -> None:
    source = next(name for name in LONG if b"\0" in source_key(name))
    store = Store(tmp_path)
    requests = FinishedRequests(store)
    keys = [delivery_key("w", Origin(source, offset)) for offset in (5, 6)]
    for key in keys:
        requests.add(Finished(key, key, Outcome.DELIVERED, "", Progress()))
    requests.expire({source_key(source): 5})
    assert list(requests.known) == keys[1:]
    store.close()
