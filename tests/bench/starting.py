"""How long a start takes: of a job to its first delivery, of a check of a few and of many webhooks.

Everything is in the files' cache, as the second time that a person types it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.latency import event, receiving
from tests.bench.measure import SHOWN, heading, reap
from tests.bench.programs.watched import HOOKLINE
from tests.kit.streams.samples import ROOT

if TYPE_CHECKING:
    from tests.bench.sections import Bench

WEBHOOK = """\
# What team {number} is told.
id: w{number}
trigger:
  events: [{events}]
  where:
    - user.properties.plan: {{ne: none-{number}}}
request:
  url: {url}/w{number}
  headers: {{x-team: "team-{number}"}}
  body:
    sent: "{{{{ event.properties.sent }}}}"
    plan: "{{{{ user.properties.plan }}}}"
    what: {{name: "{{{{ event.name | upcase }}}}", at: "{{{{ event.time }}}}"}}
"""


def write(config: Path, webhooks: int, url: str) -> Path:
    """Write a config directory whose first webhook fires, and return it; it reads a file beside it."""
    (config / "webhooks").mkdir(parents=True)
    for number in range(webhooks):
        events = f"Purchase, Never {number}" if not number else f"Never {number}"
        text = WEBHOOK.format(number=number, events=events, url=url)
        (config / "webhooks" / f"w{number:04}.yaml").write_text(text)
    (config / "pipeline.yaml").write_text(
        "source: {jsonl: {paths: [events.jsonl], follow: true}}\nnetwork: {allow: [127.0.0.0/8]}\n"
    )
    return config


def first_delivery_secs(config: Path) -> float:
    """Return how long it takes from the command to the first request."""
    with receiving() as (url, end):
        write(config, 1, url)
        (config / "events.jsonl").write_bytes(event(1) + b"\n")
        begun = time.time()
        job = subprocess.Popen(
            [*HOOKLINE, "run", "-c", str(config)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            ((at, _),) = end(1)
        finally:
            job.kill()
            reap(job)
    return at - begun


def check_secs(config: Path) -> float:
    """Return how long `hookline check` takes."""
    begun = time.monotonic()
    subprocess.run([*HOOKLINE, "check", "-c", str(config)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def bare_secs() -> float:
    """Return how long an interpreter takes that does nothing: what this machine is like."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import asyncio, json"], check=True)
    return time.monotonic() - begun


def starts(bench: Bench) -> None:
    """From the command to the first delivery, on an empty state; `check` of one and of many webhooks."""
    few, many = (
        write(bench.place() / "config", count, "https://hooks.example.com") for count in (1, bench.checked)
    )
    found: dict[str, list[float]] = {}
    for _ in range(bench.rounds):
        for name, secs in (
            ("run: to its first delivery, on an empty state", first_delivery_secs(bench.place() / "config")),
            ("check: one webhook", check_secs(few)),
            (f"check: {bench.checked:,} webhooks", check_secs(many)),
            ("beside them: python -c 'import asyncio, json'", bare_secs()),
        ):
            found.setdefault(name, []).append(secs)
    heading("start: seconds from the command")
    for name, each in found.items():
        SHOWN[f"start: {name}"] = {"cpu_us": median(each) * 1e6, "per_sec": 1 / median(each)}
        print(f"{name:<60}{median(each):>10.2f}", flush=True)
