"""Jobs of several processes that a test starts one by one, so that it can alter, stop and kill each."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.runtime.supervisor import free_ports
from tests.kit.run import ALTERED, Bench

BYTEWAX = [sys.executable, "-m", "bytewax.run"]


class Cluster:
    """The processes of one job. A context manager that leaves nothing behind.

    partitions: name to file; altered: values for module constants, by ``module:NAME``.
    """

    def __init__(
        self,
        bench: Bench,
        processes: int,
        *flags: object,
        partitions: Mapping[str, Path] | None = None,
        altered: Mapping[str, Any] | None = None,
    ) -> None:
        given: dict[str, Any] = {"set": dict(altered or {})}
        if partitions is not None:
            given["partitions"] = {name: str(path) for name, path in partitions.items()}
        words = [sys.executable, str(ALTERED), json.dumps(given), *bench.command(*flags)[1:]]
        addresses = ";".join(f"127.0.0.1:{port}" for port in free_ports(processes))
        self.logs = [bench.folder / f"member-{number}.log" for number in range(processes)]
        self.members: list[subprocess.Popen[bytes]] = []
        for number, path in enumerate(self.logs):
            with path.open("wb") as log:
                member = [*words, "--member", f"{number}@{addresses}"]
                self.members.append(
                    subprocess.Popen(member, stdout=log, stderr=log, env=bench._environment())
                )

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()

    @property
    def said(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self.logs)

    def kill(self) -> None:
        """End every process as a power-off would."""
        for member in self.members:
            member.kill()
        for member in self.members:
            member.wait()

    def stop(self) -> None:
        """Ask every process to stop, and check that each ended well."""
        for member in self.members:
            member.send_signal(signal.SIGTERM)
        self.ended()

    def ended(self, secs: float = 60.0) -> None:
        """Wait for the end of all, which must be a good one."""
        deadline = time.monotonic() + secs
        codes = [member.wait(max(0.0, deadline - time.monotonic())) for member in self.members]
        assert codes == [0] * len(codes), (codes, self.said[-4000:])

    def runs(self) -> bool:
        return all(member.poll() is None for member in self.members)
