"""Taps of a whole job in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson

from pipeline.job.assembly import Job
from pipeline.job.tap.stream import TapStream
from pipeline.job.tap.wanted import Wanted
from tests.kit.machine.clock import ManualClock
from tests.kit.programs.inprocess import run_flow

WEBHOOKS = {
    "all": """
trigger: {events: "*"}
request: {url: "https://crm.example/all"}
""",
    "big": """
trigger:
  events: [Purchase]
  where:
    event.properties.amount: {gte: 100}
    user.properties.plan: pro
request:
  url: https://crm.example/big
  headers: {x-key: "${KEY:-plain}"}
  body: {amount: "{{ event.properties.amount }}", plan: "{{ user.properties.plan }}"}
""",
    "once": """
trigger: {events: [Purchase]}
limit: {count: 1, every: 1d}
request: {url: "https://crm.example/once"}
""",
    "third": """
trigger: {events: [Purchase], repeat: {count: 9, within: 1d}}
request: {url: "https://crm.example/third"}
""",
    "broken": """
trigger: {events: [Purchase]}
request:
  url: https://crm.example/broken
  body: {x: "{{ event.properties.nothing }}"}
  missing: dead_letter
""",
}
STREAM: list[Any] = [
    {"type": "user", "user_id": "u1", "set": {"plan": "free"}},
    {"type": "event", "name": "View", "user_id": "u2", "id": "e1"},
    {"type": "event", "name": "Purchase", "user_id": "u1", "id": "e2", "properties": {"amount": 5}},
    {"type": "event", "name": "Purchase", "user_id": "u1", "id": "e3", "properties": {"amount": 500}},
    {"type": "user", "user_id": "u1", "set": {"plan": "pro"}},
    {"type": "event", "name": "Purchase", "user_id": "u1", "id": "e4", "properties": {"amount": 500}},
    "no JSON",
    [
        {"type": "event", "name": "Click", "user_id": "u3"},
        {"type": "event", "name": "Purchase", "user_id": "u4"},
    ],
]


def job_of(folder: Path, *webhooks: str, stream: list[Any] = STREAM) -> Path:
    """Write a config of these webhooks, and the stream."""
    (folder / "config" / "webhooks").mkdir(parents=True)
    for name in webhooks:
        (folder / "config" / "webhooks" / f"{name}.yaml").write_text(f"id: {name}{WEBHOOKS[name]}")
    lines = [one if isinstance(one, str) else json.dumps(one) for one in stream]
    (folder / "stream.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def tapped(folder: Path, *wanted: Wanted) -> list[list[dict[str, Any]]]:
    """Run the job to its end and return what each of these taps shows of it."""
    streams: list[TapStream] = []

    def look(job: Job) -> None:
        clock = ManualClock()
        streams.extend(TapStream(job.lookout.taps, one, job.versions, 0, clock.now) for one in wanted)

    run_flow(folder, look=look)
    found = []
    for stream in streams:
        lines = [orjson.loads(line) for line in stream.take()]
        found.append([line for line in lines if "tap" not in line])
        stream.close()
    return found
