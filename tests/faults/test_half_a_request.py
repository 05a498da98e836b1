"""A command for a stopped job that fails half-way has changed nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.job.left_requests import FOLDER, waiting_requests
from pipeline.operate.running.asking import ask_or_leave


def test_a_command_that_cannot_be_left_for_every_shard_is_left_for_none(tmp_path: Path) -> None:
    shards = [tmp_path / "shards" / name for name in ("000", "001")]
    for shard in shards:
        shard.mkdir(parents=True)
    (shards[1] / FOLDER).write_text("in the way")
    with pytest.raises(FileExistsError):
        ask_or_leave(tmp_path, "replay", [(shard, b"key") for shard in shards])
    assert waiting_requests(tmp_path) == {}
    (shards[1] / FOLDER).unlink()
    ask_or_leave(tmp_path, "replay", [(shard, b"key") for shard in shards])
    assert waiting_requests(tmp_path) == {"replay": 2}
