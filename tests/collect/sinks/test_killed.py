"""A collector that is killed at any instant loses nothing that it said is kept."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from pipeline.sources.files.recording import Recording
from tests.collect.sinks.kit import kept, segments, values


def test_what_a_killed_collector_said_is_kept_is_there_once(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    told = subprocess.run(
        [sys.executable, "-m", "tests.collect.sinks.killed", tmp_path, "35", str(seed)],
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    ).stdout.split()
    found = Counter(values(tmp_path))
    assert len(told) > 500
    assert {name: found[name] for name in told if found[name] != 1} == {}
    assert max(found.values()) == 1
    lines = kept(tmp_path)
    assert [line.offset for line in lines] == sorted({line.offset for line in lines})
    times = [line.time or 0 for line in lines]
    assert times == sorted(times)
    reading, read = Recording([str(tmp_path)]), list[int]()
    while (chunk := reading.read(1000)) is not None:
        read += chunk.offsets
    assert read == [line.offset for line in lines], "a job reads the same"
    assert any(name.endswith(".zst") for name in segments(tmp_path))
