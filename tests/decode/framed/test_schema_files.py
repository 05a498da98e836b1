"""The files of schemas: what they keep, and that strangers cannot fill a disk with ids that are none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.decode.framed import schemas
from pipeline.decode.framed.schemas import UNKNOWN_SECS, Schemas, Stored

URL = "http://registry:8081"


def test_ids_that_were_unknown_long_ago_take_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "PRUNED_EVERY", 10)
    known, now = Schemas(), time.time()
    known.keep(tmp_path, Stored(version=1, registry=URL, id="1", type="JSON", schema="{}"))
    for number in range(2, 42):
        at = now - UNKNOWN_SECS - 1 if number < 30 else now
        known.keep(tmp_path, Stored(version=1, registry=URL, id=str(number), unknown="there is none", at=at))
    left = {int(path.stem) for path in tmp_path.rglob("*.json")}
    assert left == {1, *range(30, 42)}
    known.look_in(tmp_path)
    assert known.has(URL, "1")
    assert known.has(URL, "41"), "believed for a while"


def test_an_id_that_was_unknown_under_a_clock_that_ran_ahead_is_asked_for_again(tmp_path: Path) -> None:
    """Its records would be dead letters until the clock is there again."""
    known, ahead = Schemas(), time.time() + 3600
    known.keep(tmp_path, Stored(version=1, registry=URL, id="2", unknown="there is none", at=ahead))
    known.look_in(tmp_path)
    assert not known.has(URL, "2")
