"""`hookline run` as a subprocess, a config for it, and waiting for what must come."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pipeline.cli.app import run

HOOKLINE = Path(sys.executable).with_name("hookline")
PATIENCE_SECS = 30.0
T = TypeVar("T")


def until(what: Callable[[], T | bool | None], *, secs: float = PATIENCE_SECS) -> T:
    """Return what the function returns once that is true; fail after some time."""
    deadline = time.monotonic() + secs
    pause = threading.Event()
    while True:
        found = what()
        if found:
            return found  # type: ignore[return-value]  # neither None nor False here
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come true within {secs:g} s")
        pause.wait(0.03)


@dataclass(slots=True)
class Bench:
    """A config directory, a stream and a state directory of one test."""

    folder: Path
    settings: str = "{network: {allow: [127.0.0.0/8]}, epoch: 200ms, shards: 2}"
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def stream(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def webhook(self, id: str, url: str, more: str = "", events: str = '"*"') -> None:
        """Write one webhook file."""
        folder = self.config / "webhooks"
        folder.mkdir(parents=True, exist_ok=True)
        (self.config / "pipeline.yaml").write_text(self.settings)
        text = f"id: {id}\ntrigger: {{events: {events}}}\nrequest:\n  url: {url}\n{more}"
        (folder / f"{id}.yaml").write_text(text)

    def append(self, *events: dict[str, Any]) -> None:
        """Append events to the stream."""
        with self.stream.open("a") as file:
            for event in events:
                file.write(json.dumps({"type": "event", "name": "E", "user_id": "u1", **event}) + "\n")

    def update(self, user_id: str, **properties: Any) -> None:
        """Append an update of a user to the stream."""
        with self.stream.open("a") as file:
            file.write(json.dumps({"type": "user", "user_id": user_id, "set": properties}) + "\n")

    def hookline(self, *words: object, code: int | None = 0) -> Any:
        """Run a verb on this config and state, in this process; return its JSON, or its text."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        with redirect_stdout(out), redirect_stderr(err):
            given = run([*map(str, words), "-c", str(self.config), "--state", str(self.state)])
        said, told = (_read(stream) for stream in (out, err))
        assert code is None or given == code, told
        return json.loads(said) if "--json" in words and said else said + told

    def status(self) -> dict[str, Any]:
        """Return `hookline status --json`."""
        found: dict[str, Any] = self.hookline("status", "--json")
        return found

    def counts(self, webhook: str) -> dict[str, int]:
        """Return the accounting of one webhook; zeros where there is no state yet."""
        zeros = dict.fromkeys(("matched", "delivered", "dead", "pending", "suppressed"), 0)
        said = self.hookline("status", "--json", code=None)
        return zeros | said["webhooks"].get(webhook, {}) if isinstance(said, dict) else zeros

    def listed(self, verb: str) -> list[dict[str, Any]]:
        """Return what `dlq list` or `outbox list` has; nothing where there is no state yet."""
        said = self.hookline(verb, "list", "--json", code=None)
        return said if isinstance(said, list) else []

    def command(self, *flags: object) -> list[str]:
        words = ["run", "-c", self.config, "--state", self.state, "--source", self.stream, *flags]
        return [str(HOOKLINE), *map(str, words)]

    @contextmanager
    def running(self, *flags: object) -> Iterator[subprocess.Popen[str]]:
        """Run the job, following the stream; SIGTERM at the end must end it with 0."""
        self.stream.touch()
        job = subprocess.Popen(
            self.command("--follow", *flags),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(),
        )
        try:
            yield job
            job.send_signal(signal.SIGTERM)
            _, said = job.communicate(timeout=PATIENCE_SECS)
            assert job.returncode == 0, said
        finally:
            job.kill()
            job.communicate()

    def run(self, *flags: object, code: int = 0) -> dict[str, Any]:
        """Run the job to the end of the stream; return its summary."""
        done = subprocess.run(
            self.command("--json", *flags),
            capture_output=True,
            text=True,
            env=self._environment(),
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary

    def _environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
        return {**plain, "COLUMNS": "100", **self.environment}


def _read(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def lines_of(said: str, level: str) -> Sequence[dict[str, Any]]:
    """Return the log lines of a level."""
    rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [row for row in rows if row["level"] == level]
