"""The first minute of the runbook, beside a job that has given something up."""

from __future__ import annotations

from pathlib import Path

from pipeline.receiver.server import Receiver
from tests.kit import tour


def test_the_first_minute_shows_what_was_given_up_and_changes_nothing(tmp_path: Path):
    with Receiver({"*": [404]}) as receiver:
        commands = "hookline init . && hookline run\n" + tour.script("first look")
        commands = commands.replace(
            "init .", f"init . && sed -i 's#http://127.0.0.1:8787#{receiver.url('')}#' config/webhooks/*.yaml"
        )
        done = tour.run(commands, tmp_path, {})
    assert done.returncode == 0, done.stderr
    assert "status-404" in done.stdout
    assert len(receiver.requests) == 2
