"""Programs as subprocesses, a bench for `hookline run`, and waiting for what must come."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pipeline.cli.app import run
from pipeline.receiver.server import Receiver
from tests.kit.programs import siblings
from tests.kit.programs.forge import Program, forge

HOOKLINE = Path(sys.executable).with_name("hookline")
BYTEWAX = [sys.executable, "-m", "bytewax.run"]
PATIENCE_SECS = 30.0
T = TypeVar("T")


def until(what: Callable[[], T | bool | None], *, secs: float = PATIENCE_SECS) -> T:
    """Return what the function returns once that is true; fail after some time.

    Asking must not starve what is waited for: what takes long to ask is asked less often.
    """
    deadline = time.monotonic() + secs
    pause = threading.Event()
    while True:
        asked = time.monotonic()
        found = what()
        if found:
            return found  # type: ignore[return-value]  # neither None nor False here
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come true within {secs:g} s")
        pause.wait(min(0.3, max(0.03, 2 * (time.monotonic() - asked))))


def has_ended(pid: int) -> bool:
    """Return whether a process has ended, also where its parent has not asked for its exit code yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


Running = subprocess.Popen[str] | Program


@contextmanager
def started(*words: object, env: Mapping[str, str] | None = None, session: bool = False) -> Iterator[Running]:
    """Give a program that runs, with pipes; it is gone when the test is done with it.

    `hookline`, and Bytewax' own runner, is forked from a process that has imported everything (forge.py),
    unless the environment has what only a new process can obey.
    """
    job: Running
    said = [*map(str, words)]
    if said[0] == str(HOOKLINE) and not needs_a_start(env):
        job = forge().open(said[1:], os.environ if env is None else env, session=session)
    elif said[:3] == BYTEWAX and not needs_a_start(env):
        job = forge().open(said[3:], os.environ if env is None else env, session=session, module=BYTEWAX[2])
    else:
        job = subprocess.Popen(
            said, env=env, text=True, start_new_session=session,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    try:
        yield job
    finally:
        job.kill()
        job.communicate()


def needs_a_start(env: Mapping[str, str] | None) -> bool:
    """Return whether the loader or the interpreter is told something: only a new process can obey."""
    told = ("LD_", "PYTHON", "LC_", "LANG")
    named = {name for name in {*os.environ, *(env or {})} if name.startswith(told)}
    return env is not None and any(env.get(name) != os.environ.get(name) for name in named)


def ended(job: Running, code: int = 0, *, secs: float = 60.0) -> tuple[str, str]:
    """Wait for a program's end, check its exit code, return its stdout and stderr."""
    out, err = job.communicate(timeout=secs)
    assert job.returncode == code, f"exit code {job.returncode}, not {code}:\n{err[-4000:]}"
    return out, err


def ran(
    *words: object, env: Mapping[str, str] | None = None, stdin: str = "", secs: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as `started` does."""
    with started(*words, env=env) as job:
        out, err = job.communicate(stdin, timeout=secs)
        assert job.returncode is not None
        return subprocess.CompletedProcess([*map(str, words)], job.returncode, out, err)


def finished(
    *words: object, code: int = 0, env: Mapping[str, str] | None = None, stdin: str = "", secs: float = 60.0
) -> tuple[str, str]:
    """Run a program to its end, check its exit code, return its stdout and stderr."""
    done = ran(*words, env=env, stdin=stdin, secs=secs)
    assert done.returncode == code, f"exit code {done.returncode}, not {code}:\n{done.stderr[-4000:]}"
    return done.stdout, done.stderr


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that are alive."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if Path(f"/proc/{child}/comm").read_text().strip() != siblings.NAME]


@dataclass(slots=True)
class Bench:
    """A config directory, a stream and a state directory of one test."""

    folder: Path
    settings: str = "{network: {allow: [127.0.0.0/8]}, epoch: 200ms, shards: 2}"
    environment: dict[str, str] = field(default_factory=dict)
    is_collected: bool = False
    """What the job reads its settings say, not a flag."""

    @property
    def source(self) -> Path | None:
        """What a flag names as the source."""
        return None if self.is_collected else self.stream

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
        """Write one webhook file, and the settings as they are now."""
        self.write(id, f"trigger: {{events: {events}}}\nrequest:\n  url: {url}\n{more}")

    def write(self, id: str, text: str) -> None:
        """Write the file of one webhook, all but its id, and the settings as they are now."""
        folder = self.config / "webhooks"
        folder.mkdir(parents=True, exist_ok=True)
        (self.config / "pipeline.yaml").write_text(self.settings)
        (folder / f"{id}.yaml").write_text(f"id: {id}\n{text}")

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
        source = [] if self.source is None else ["--source", self.source]
        words = ["run", "-c", self.config, "--state", self.state, *source, *flags]
        return [str(HOOKLINE), *map(str, words)]

    @contextmanager
    def running(self, *flags: object) -> Iterator[Running]:
        """Run the job, following the stream; SIGTERM at the end must end it with 0."""
        self.stream.touch()
        with self.started("--follow", *flags) as job:
            yield job
            job.send_signal(signal.SIGTERM)
            ended(job, secs=PATIENCE_SECS)

    def started(self, *flags: object, session: bool = False) -> AbstractContextManager[Running]:
        """Start the job; how it ends is the test's."""
        return started(*self.command(*flags), env=self.environ, session=session)

    def run(self, *flags: object, code: int = 0) -> dict[str, Any]:
        """Run the job to the end of the stream; return its summary."""
        said, _ = finished(*self.command("--json", *flags), code=code, env=self.environ)
        summary: dict[str, Any] = json.loads(said)
        return summary

    def refused(self, code: int, *flags: object) -> str:
        """Run the job, which must end with this code; return what it says of that."""
        return finished(*self.command(*flags), code=code, env=self.environ)[1]

    def bytewax(
        self, *flags: object, flow: str = "dataflows.webhooks:get_flow", **more: object
    ) -> AbstractContextManager[Running]:
        """Start the job under Bytewax' own runner, which takes its settings from the environment."""
        given = {"CONFIG": self.config, "STATE": self.state, "SOURCE": self.stream, **more}
        env = {**self.environ, **{f"HOOKLINE_{name}": str(value) for name, value in given.items()}}
        return started(*BYTEWAX, flow, *flags, env=env)

    @property
    def environ(self) -> dict[str, str]:
        """The environment of what is started: nothing of Hookline's own but what the test gives."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
        return {**plain, "COLUMNS": "100", **self.environment}


def _read(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def more_than(receiver: Receiver, number: int) -> Callable[[], bool]:
    """Return whether more requests than that have come, to be asked again and again."""
    return lambda: len(receiver.requests) > number


def lines_of(said: str, level: str) -> Sequence[dict[str, Any]]:
    """Return the log lines of a level."""
    rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [row for row in rows if row["level"] == level]
