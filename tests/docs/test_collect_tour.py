"""The tour of docs/collect.md: what a server tells and a click on a page become one webhook."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.kit import tour
from tests.kit.programs.ports import free_port

CLICK = """
curl -s http://127.0.0.1:8080/e/ -H 'origin: http://127.0.0.1:8000' -H 'content-type: text/plain' -d '{
  "api_key": "wk_web", "sent_at": "2026-11-24T10:00:01Z", "batch": [
    {"event": "$identify", "distinct_id": "u1", "uuid": "01", "timestamp": "2026-11-24T10:00:00Z",
     "properties": {"token": "wk_web", "$anon_distinct_id": "a1"}, "$set": {"name": "Ada"}},
    {"event": "Purchase", "distinct_id": "u1", "uuid": "02", "timestamp": "2026-11-24T10:00:01Z",
     "properties": {"token": "wk_web", "product": "Lamp", "amount": 49}}]}'
until grep -q POST arrived.jsonl; do sleep 0.1; done
kill -INT %2; wait %2; echo "up ended with $?"
"""
"""What posthog-js sends for a visitor who is told to it and clicks; tests/collect/sdks has it itself."""


def test_a_click_becomes_a_webhook_with_what_the_server_has_told(tmp_path: Path):
    shutil.copytree(tour.ROOT / "examples", tmp_path / "examples")
    commands = tour.script("collect tour") + CLICK
    commands = commands.replace("hookline receiver", "hookline receiver --json > arrived.jsonl", 1)
    address = {f"127.0.0.1:{port}": f"127.0.0.1:{free_port()}" for port in (8787, 8080)}
    for file in ("pipeline.yaml", "webhooks/purchase.yaml"):
        path = tmp_path / "examples" / "shop" / file
        text = path.read_text()
        for before, after in address.items():
            text = text.replace(before, after)
        path.write_text(text)
    done = tour.run(commands, tmp_path, address)
    assert done.returncode == 0, done.stderr
    assert "up ended with 0" in done.stdout, done.stdout + done.stderr
    arrived = [json.loads(line) for line in (tmp_path / "arrived.jsonl").read_text().splitlines()]
    assert [json.loads(one["body"]) for one in arrived] == [{"text": "Ada (pro) bought Lamp", "amount": 49}]
