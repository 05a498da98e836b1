"""The Kafka tour, on a real broker, and the verbs that it does not show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.receiver.server import Receiver
from tests.kafka.servers.broker import Broker
from tests.kit.programs.run import HOOKLINE, ended, finished, started
from tests.kit.tour import ROOT, run, script

UNTIL_SENT = """
until hookline status -c tour --json 2> /dev/null | grep -q '"delivered": 2'; do :; done
kill -INT $job
wait $job
"""


def test_the_kafka_tour_delivers_two_webhooks(broker: Broker, tmp_path: Path, receiver: Receiver):
    files = script("tour").partition("hookline receiver")[0]
    commands = files + script("kafka tour").replace("make kafka\n", "")
    changes = {
        "127.0.0.1:8787": f"127.0.0.1:{receiver.port}",
        "127.0.0.1:9092": broker.address,
        "[events]": "[tour-events]",
        "[user-properties]": "[tour-users]",
        "hookline produce": "hookline produce --events tour-events --users tour-users",
        "hookline run -c tour\n": "hookline run -c tour --json > summary &\njob=$!\n" + UNTIL_SENT,
    }
    done = run(commands, tmp_path, changes)
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(request.body)["text"] for request in receiver.requests) == [
        "Ada spent 250",
        "Someone spent 120",
    ]
    summary = json.loads((tmp_path / "summary").read_text())
    assert summary["records"] == {"read": 5, "events": 3, "updates": 2, "links": 0, "invalid": 0}


def test_a_recording_of_topics_replays_with_the_ids_of_the_topics(broker: Broker, tmp_path: Path):
    stream = tmp_path / "shop.jsonl"
    lines = [{"type": "user", "user_id": f"u{n}", "set": {"plan": "pro"}} for n in range(5)]
    lines += [
        {"type": "event", "name": "Purchase", "user_id": f"u{n % 5}", "properties": {"n": n}}
        for n in range(20)
    ]
    stream.write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = tmp_path / "config"
    (config / "webhooks").mkdir(parents=True)
    (config / "pipeline.yaml").write_text(
        f'source: {{kafka: {{brokers: "{broker.address}", events: [rec-events], users: [rec-users]}}}}\n'
    )
    (config / "webhooks" / "w.yaml").write_text(
        "id: w\ntrigger: {events: [Purchase], where: [{user.properties.plan: pro}]}\n"
        "request: {url: 'https://example.com/w', body: {n: '{{ event.properties.n }}'}}\n"
    )
    words = ["produce", stream, "--brokers", broker.address, "--events", "rec-events", "--users", "rec-users"]
    made = json.loads(finished(HOOKLINE, *words, "--partitions", 2, "--json")[0])
    assert made == {
        "messages": {"rec-users": 5, "rec-events": 20},
        "invalid": 0,
        "created": ["rec-events", "rec-users"],
    }

    with started(HOOKLINE, "record", "-c", config, "--out", tmp_path / "rec", "--json") as recording:
        # What is recorded grows by whole frames; a dry run reads what is there.
        while (rows := replayed(config, tmp_path / "rec")) is None or len(rows) < 20:
            assert recording.poll() is None
        recording.terminate()
        out, _ = ended(recording, secs=20)
    assert json.loads(out)["records"] == 25
    assert sorted(row["body"]["n"] for row in rows) == list(range(20))
    assert len({row["headers"]["webhook-id"] for row in rows}) == 20
    assert replayed(config, tmp_path / "rec") == rows


def replayed(config: Path, recording: Path) -> list[dict[str, Any]] | None:
    """Return the requests of a dry run; None while there is nothing to read."""
    words = map(str, [HOOKLINE, "replay", recording, "-c", config, "--dry-run"])
    done = subprocess.run([*words], capture_output=True, text=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else None


def test_the_broker_is_started_by_the_path_of_its_file_from_anywhere(tmp_path: Path) -> None:
    tool = [sys.executable, str(ROOT / "tests/kafka/broker.py")]
    for verb in ("--help", "down"):
        done = subprocess.run(
            [*tool, verb, "--dir", str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
