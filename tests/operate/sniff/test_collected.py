"""What a collector wrote is known as such: nothing about it is guessed, no format is proposed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.model.errors import UsageError
from pipeline.operate.sniff.sample import sample_files
from pipeline.operate.sniff.sniff import sniff
from tests.kit.streams.collected import CollectorsFolder


def test_a_collectors_folder_is_sniffed_by_its_latest_segments(tmp_path: Path) -> None:
    folder = CollectorsFolder(tmp_path)
    with pytest.raises(UsageError, match="kept nothing there yet"):
        sample_files([str(tmp_path)])
    for n in range(12):
        folder.append(b'{"event":"x","userId":"u"}', [("hk-protocol", b"segment"), ("hk-type", b"track")])
        folder.append(b'{"event":"x"}', [("hk-protocol", b"posthog")])
        folder.rotate()
        if n % 2:
            folder.pack()
    found = sniff(sample_files([str(tmp_path)]))
    assert [(one.shape, one.records, one.unread) for one in found.found] == [("collected", 18, 9)]
    assert found.formats == {}
    assert found.proposals == []
