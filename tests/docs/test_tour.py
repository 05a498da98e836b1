"""The tour's five minutes do what they say."""

from __future__ import annotations

import json
from pathlib import Path

from tests.kit import tour
from tests.kit.programs.ports import free_port


def test_the_tour_delivers_two_webhooks_and_repeats_none(tmp_path: Path):
    commands = tour.script("tour").replace("hookline receiver", "hookline receiver --json > arrived.jsonl", 1)
    again = (
        "hookline run -c tour --source tour/shop.jsonl --state tour/state --allow 127.0.0.0/8 --json > again"
    )
    ports = {"127.0.0.1:8787": f"127.0.0.1:{free_port()}"}
    done = tour.run(commands, tmp_path, ports, end=again, installed=True)
    assert done.returncode == 0, done.stderr
    assert "1 webhook, no problems" in done.stdout
    arrived = [json.loads(line) for line in (tmp_path / "arrived.jsonl").read_text().splitlines()]
    assert sorted(json.loads(one["body"])["text"] for one in arrived) == [
        "Ada spent 250",
        "Someone spent 120",
    ]
    summary = json.loads((tmp_path / "again").read_text())
    assert summary["webhooks"]["big-purchase"]["delivered"] == 2
    assert summary["records"] == {"read": 5, "events": 3, "updates": 2, "links": 0, "invalid": 0}
    would = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"webhook"')]
    assert [one["body"]["text"] for one in would] == ["Ada spent 250", "Someone spent 120"]
