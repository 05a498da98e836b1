"""`hookline collect` as its users run it, with what it has recorded."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from tests.kit.programs.forge import Child, forge
from tests.kit.programs.ports import free_port
from tests.kit.programs.run import HOOKLINE, needs_a_start, until

OPEN = {"server": "{key: wk_server}", "web": '{key: wk_web, origins: ["*"]}'}
"""Keys: one of servers, one of pages."""
TOKEN = "scrape"


@dataclass(slots=True)
class Collector:
    """A config directory with `collect:`, its folder, and the process."""

    folder: Path
    keys: Mapping[str, str] = field(default_factory=lambda: OPEN)
    more: str = ""
    """Further lines of `collect:`, each indented by two."""
    job: str = ""
    """Further lines of pipeline.yaml: those of the job."""
    port: int = field(default_factory=free_port)
    environment: Mapping[str, str] = field(default_factory=dict)
    before: tuple[object, ...] = ()
    """Words before the command: a program that runs it."""
    collected_in: Path | None = None
    process: subprocess.Popen[bytes] | Child | None = None
    answered: bytes = b""
    """What /readyz said last."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def collected(self) -> Path:
        return self.collected_in or self.folder / "collected"

    @property
    def said(self) -> str:
        """What the process has said, over all its lives."""
        return (self.folder / "collect.log").read_text()

    def write(self) -> None:
        """Write pipeline.yaml."""
        self.config.mkdir(parents=True, exist_ok=True)
        keys = "".join(f"\n    {name}: {key}" for name, key in self.keys.items())
        (self.config / "pipeline.yaml").write_text(
            f"{self.job}\ncollect:\n  listen: 127.0.0.1:{self.port}\n  to: {{recording: {self.collected}}}\n"
            f"  keys:{keys}\n{self.more}\n"
        )

    def start(self) -> Collector:
        """Start the process and wait until it is ready."""
        self.write()
        words = ["collect", "-c", str(self.config)]
        env = {**os.environ, "HOOKLINE_METRICS_TOKEN": TOKEN, **self.environment}
        log = self.folder / "collect.log"
        if self.before or needs_a_start(env):
            with log.open("ab") as said:
                self.process = subprocess.Popen(
                    [*map(str, self.before), str(HOOKLINE), *words],
                    env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                )  # fmt: skip
        else:
            self.process = forge().start(words, env, log, log)
        try:
            until(self.is_ready)
        except AssertionError as error:
            raise AssertionError(f"not ready ({self.answered!r}): {error}\n{self.said[-2000:]}") from None
        return self

    def is_ready(self) -> bool:
        """Whether it answers that it is ready; fails where the process has ended."""
        assert self.process is not None
        assert self.process.poll() is None, self.said
        try:
            status, _, self.answered = self.ask("GET", "/readyz")
        except OSError as error:
            self.answered = str(error).encode()
            return False
        return status == 200

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self, code: int = 0) -> None:
        """SIGTERM, and wait for its end."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == code, self.said

    def __enter__(self) -> Collector:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers (lower case) and body of the answer to one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def post(self, path: str, body: object, key: str = "wk_server") -> tuple[int, dict[str, str], bytes]:
        """Post a JSON value with a key as Bearer."""
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        return self.ask("POST", path, json.dumps(body).encode(), headers)

    def metrics(self) -> str:
        """Return what /metrics says."""
        return self.ask("GET", "/metrics", headers={"authorization": f"Bearer {TOKEN}"})[2].decode()

    def lines(self) -> list[dict[str, Any]]:
        """Return what is recorded, in order; fails where a line is torn."""
        return [json.loads(line) for line in self.raw_lines()]

    def raw_lines(self) -> list[bytes]:
        """Return the lines as they stand on disk."""
        found: list[bytes] = []
        for path in self.segments():
            data = path.read_bytes()
            if path.suffix == ".zst":
                data = zstandard.ZstdDecompressor().stream_reader(data).read()
            assert not data or data.endswith(b"\n"), f"{path.name} ends within a line"
            found += data.splitlines()
        return found

    def size(self) -> int:
        """Return how many bytes of lines there are by now."""
        return sum(path.stat().st_size for path in self.collected.glob("*.rec.jsonl"))

    def segments(self) -> list[Path]:
        """Return the files of the recording in order, of each the compressed one where there are both."""
        whole = sorted([*self.collected.glob("*.rec.jsonl"), *self.collected.glob("*.rec.jsonl.zst")])
        by_name = {path.name.partition(".")[0]: path for path in whole}
        return [by_name[name] for name in sorted(by_name)]
