"""Whole jobs that a test starts, looks at, kills and starts again; and what must hold of their accounting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pipeline.receiver.received import Request
from pipeline.runtime.processes.group import free_ports
from tests.kit.programs.forge import Child, forge
from tests.kit.programs.run import Bench, until

SICK = {"hanging": "hang", "slow": {"delay_secs": 10}, "failing": 500, "resetting": "reset"}
"""Webhooks with a sick receiver, and what it answers."""
PAGE = os.sysconf("SC_PAGE_SIZE")


J = TypeVar("J", "Job", "Cluster")
ADDRESS_SPACE, BOOT = "tests.kit.programs.altered:limit_address_space", "tests.kit.programs.altered:boot"
ALTER, PARTITIONS = "tests.kit.programs.altered:alter", "tests.kit.programs.altered:use_partitions"
BREAK = "tests.kit.programs.altered:break_"
"""What a process may do before: take other module constants, read other partitions (altered.py)."""


class Job:
    """A `hookline run` in a process of its own; its log is in a file. A context manager.

    before: what the process does first (forge.py). fresh: start the command as it is installed, for what
    measures the process; otherwise it is forked from one that has imported everything. log: names its files.
    """

    def __init__(
        self,
        bench: Bench,
        *flags: object,
        follow: bool = True,
        before: Mapping[str, Any] | None = None,
        fresh: bool = False,
        uid: int | None = None,
        log: str = "std",
    ) -> None:
        words = bench.command(*(["--follow"] if follow else ["--json"]), "--log-format", "json", *flags)
        if bench.source == bench.stream:
            bench.stream.touch()
        self.out, self.err = bench.folder / f"{log}out", bench.folder / f"{log}err"
        environment = bench.environ | {"RUST_BACKTRACE": "0"}
        self.process: subprocess.Popen[bytes] | Child
        if fresh:
            with self.out.open("wb") as out, self.err.open("ab") as err:
                self.process = subprocess.Popen(words, stdout=out, stderr=err, env=environment)
        else:
            self.process = forge().start(words[1:], environment, self.out, self.err, uid=uid, before=before)

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def said(self) -> str:
        """Everything this and earlier jobs of the bench wrote to stderr."""
        return self.err.read_text(errors="replace")

    def kill(self) -> None:
        """End it as a power-off of the process would."""
        self.process.kill()
        self.process.wait()

    def stop(self, code: int = 0) -> None:
        """Ask it to end, and check how it ended."""
        self.send_signal(signal.SIGTERM)
        self.ended(code)

    def send_signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self, code: int = 0, *, secs: float = 60.0) -> dict[str, Any]:
        """Wait for its end, check its exit code, return its summary where it printed one."""
        given = self.process.wait(secs)
        assert given == code, f"exit code {given}, not {code}:\n{self.said[-4000:]}"
        text = self.out.read_text().strip()
        return json.loads(text) if text.startswith("{") else {}

    def runs(self) -> bool:
        return self.process.poll() is None

    def rss(self) -> int:
        """Resident memory, in bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE

    def peak(self) -> int:
        """The most resident memory it ever had, in bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024

    def cpu(self) -> float:
        """CPU time of all its threads so far, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def ready(bench: Bench, job: J) -> J:
    """Wait until the job answers commands."""

    def answers() -> bool:
        assert job.runs(), job.said[-4000:]
        status = bench.hookline("status", "--json", code=None)
        return isinstance(status, dict) and bool(status["running"])

    until(answers)
    return job


def accounted(bench: Bench) -> dict[str, dict[str, int]]:
    """Return the accounting of every webhook, after checking that it adds up (P6)."""
    webhooks: dict[str, dict[str, int]] = bench.status()["webhooks"]
    for name, counts in webhooks.items():
        told = counts["delivered"] + counts["dead"] + counts["pending"] + counts["suppressed"]
        assert counts["matched"] == told, (name, counts)
    return webhooks


def totals(bench: Bench) -> Counter[str]:
    """Return the accounting of all webhooks together."""
    total: Counter[str] = Counter()
    for counts in accounted(bench).values():
        total.update(counts)
    return total


def state_bytes(folder: Path) -> int:
    """Return what a folder takes on disk, in bytes."""
    found = 0
    for path in folder.rglob("*"):
        try:
            found += path.lstat().st_blocks * 512
        except FileNotFoundError:
            pass  # a journal that has just been deleted
    return found


def ids(requests: Iterable[Request]) -> Counter[str]:
    return Counter(request.message_id for request in requests)


def event_of(request: Request) -> dict[str, Any]:
    """Return the properties of the event in a request with the default body."""
    properties: dict[str, Any] = json.loads(request.body)["event"]["properties"]
    return properties


def quantile(values: list[float], q: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(q * len(ranked)))]


def send_paced(bench: Bench, count: int, per_sec: float, start: int = 0, users: int = 50) -> None:
    """Append events at a steady rate; each says when it was written."""
    begun = time.monotonic()
    for number in range(count):
        wait = begun + number / per_sec - time.monotonic()
        if wait > 0:
            time.sleep(wait)  # the rate is the input, nothing is waited for
        n = start + number
        bench.append({"id": f"e{n}", "user_id": f"u{n % users}", "properties": {"n": n, "at": time.time()}})


class Cluster:
    """The processes of one job, which a test can stop and kill one by one. A context manager."""

    def __init__(
        self,
        bench: Bench,
        processes: int,
        *flags: object,
        before: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        addresses = ";".join(f"127.0.0.1:{port}" for port in free_ports(processes))
        self.members = [
            Job(
                bench,
                *flags,
                "--member",
                f"{number}@{addresses}",
                before=before,
                log=f"member-{number}-",
                **more,
            )
            for number in range(processes)
        ]

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()

    @property
    def said(self) -> str:
        return "".join(member.said for member in self.members)

    def kill(self) -> None:
        """End every process as a power-off would."""
        for member in self.members:
            member.send_signal(signal.SIGKILL)
        for member in self.members:
            member.kill()

    def stop(self) -> None:
        """Ask every process to stop, and check that each ended well."""
        for member in self.members:
            member.send_signal(signal.SIGTERM)
        self.ended()

    def ended(self, *, secs: float = 60.0) -> None:
        """Wait for the end of all, which must be a good one."""
        deadline = time.monotonic() + secs
        for member in self.members:
            member.ended(secs=max(0.0, deadline - time.monotonic()))

    def runs(self) -> bool:
        return all(member.runs() for member in self.members)
