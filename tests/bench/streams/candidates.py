"""Streams of the seeded generator, and the config of a job that reads them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench.measure import Candidate, Process

USERS = 5_000

WEBHOOK = """
id: {id}
trigger: {{events: [{event}]}}
request:
  url: {origin}/hooks/{id}
  body: {body}
  {signature}
"""
SIGNATURE = "signature: {standard_webhooks: {secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}}"
FIELDS = (
    "user.id",
    "user.properties.plan",
    "event.properties.amount",
    "user.properties.name",
    "user.properties.email",
    "user.properties.country",
    "event.id",
    "event.name",
    "event.time",
    "event.source",
    "event.properties.currency",
    "event.properties.product.id",
    "event.properties.product.name",
    "event.properties.product.category",
    "event.properties.product.price",
)
"""What a body is made of; a longer one begins again with the first."""


def make_stream(folder: Path, firing: float, records: int, users: int) -> Path:
    """Return a stream of the seeded generator, made if it is not there: the users first, then the events."""
    path = folder / f"stream-{round(firing * 100)}-{records}-{users}.jsonl"
    if not path.exists():
        flags = f"--out {path} --users {users} --records {users + records} --firing {firing}"
        # In a process of its own: the memory of this one would count as that of each candidate it starts.
        command = [sys.executable, "-m", "pipeline.recording.shop", *flags.split()]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


def make_body(fields: int) -> str:
    """Return the body of a request with so many fields, as YAML."""
    paths = [FIELDS[number % len(FIELDS)] for number in range(fields)]
    return "{" + ", ".join(f'f{number}: "{{{{ {path} }}}}"' for number, path in enumerate(paths)) + "}"


def make_config(
    folder: Path,
    origin: str,
    stream: Path | None,
    *,
    webhooks: int = 1,
    signed: bool = True,
    fields: int = 3,
    source: str = "",
) -> Path:
    """Write a config directory: one webhook on Purchase, and others on events that never come.

    source: what is read instead of the stream, as YAML.
    """
    name = stream.stem if stream is not None else "kafka"
    config = folder / f"config-{name}-{webhooks}-{signed}-{fields}"
    (config / "webhooks").mkdir(parents=True)
    for number in range(webhooks):
        text = WEBHOOK.format(
            id=f"w{number}",
            event="Purchase" if number == 0 else f"Never {number}",
            origin=origin,
            body=make_body(fields),
            signature=SIGNATURE if signed else "",
        )
        (config / "webhooks" / f"w{number:04d}.yaml").write_text(text)
    read = source or f"{{jsonl: {{paths: [{stream}]}}}}"
    (config / "pipeline.yaml").write_text(
        f"source: {read}\nstate: {config / 'state'}\nnetwork: {{allow: [127.0.0.0/8]}}\n"
    )
    return config


PYTHONS = "HOOKLINE_BENCH_PYTHONS"
"""Further interpreters that have the packages of the job, separated by colons."""


def pythons() -> list[tuple[str, str]]:
    """Return the interpreters to measure on, and what to write behind a candidate's name for each."""
    paths = [sys.executable, *filter(None, os.environ.get(PYTHONS, "").split(":"))]
    if len(paths) == 1:
        return [(sys.executable, "")]
    asked = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    versions = [subprocess.run([path, "-c", asked], capture_output=True, text=True).stdout for path in paths]
    return [(path, f", {version.strip()}") for path, version in zip(paths, versions, strict=True)]


def program(name: str, python: str = sys.executable) -> list[str]:
    """Return how a program of this folder is started, from the folder of the project."""
    return [python, "-m", f"tests.bench.{name}"]


def job(
    name: str,
    config: Path,
    units: int,
    *flags: str,
    watch: Callable[[Process], float | None] | None = None,
    python: str = sys.executable,
) -> Candidate:
    """Return the job as a candidate, as everybody runs it; each run begins with an empty state directory."""
    command = [python, "-m", "pipeline.cli", "run", "-c", str(config), "--json", *flags]
    state = config / "state"
    return Candidate(
        name, command, units, before=lambda: shutil.rmtree(state, ignore_errors=True), watch=watch
    )
