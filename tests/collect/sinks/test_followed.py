"""A job's reader and a collector share a folder: whatever happens to either, each kept line is read once."""

from __future__ import annotations

import errno
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from pipeline.collect.batch import Refused
from pipeline.collect.sinks.recording.keeper import Keeper
from pipeline.sources.chunk import Position
from pipeline.sources.files.recording import Recording
from tests.collect.sinks.kit import in_loop, named, opened, segments
from tests.collect.sinks.test_segments import reader as passed


@in_loop
async def test_a_reader_beside_a_collector_that_fails_restarts_compresses_and_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.randrange(1 << 30)
    chance, sync, ill = random.Random(seed), os.fdatasync, [False]
    monkeypatch.setattr("pipeline.collect.sinks.recording.keeper.LOOK_SECS", 0.005)
    monkeypatch.setattr(Keeper, "_compress", _unless_ill(Keeper._compress, ill))

    def syncs(descriptor: int) -> None:
        if ill[0] and chance.random() < 0.5:
            raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", syncs)
    position: Position | None = None
    found: Counter[str] = Counter()
    told: list[str] = []
    sink = opened(tmp_path, segment_bytes=300, retain_secs=0.0)
    reading = Recording([str(tmp_path)], follow=True)

    def read() -> None:
        nonlocal position
        while (chunk := reading.read(50)) is not None:
            found.update((line or b"")[7:-2].decode() for line in chunk.lines)
            position = chunk.position
            if chance.random() < 0.5:
                passed(tmp_path, "job", chunk.offsets[-1] + 1)

    for turn in range(150):
        what = chance.random()
        if what < 0.8:
            ill[0] = chance.random() < 0.2
            name = f"m{turn}"
            try:
                await sink.keep(named(name))
                told.append(name)
            except Refused:
                pass  # its line may have been seen; nobody was told that it is kept
        elif what < 0.85:
            ill[0] = False
            await sink.close()
            sink = opened(tmp_path, segment_bytes=300, retain_secs=0.0)
        elif what < 0.9:
            reading.close()
            reading = Recording([str(tmp_path)], follow=True, resume=position)
        if chance.random() < 0.6:
            read()
    ill[0] = False
    while (wanted := set(told) - found.keys()) and sum(found.values()) < 10_000:
        before = len(wanted)
        read()
        await sink.keep(named(f"more{sum(found.values())}-{before}"))
    read()
    reading.close()
    await sink.close()
    assert set(told) <= found.keys(), seed
    assert {name: n for name, n in found.items() if n > 1} == {}, seed
    assert len(segments(tmp_path)) < 100, "what was read is gone"


def _unless_ill(compress, ill):
    # The keeper's own syncs are not what is tried here.
    def run(self, *args):
        return False if ill[0] else compress(self, *args)

    return run
