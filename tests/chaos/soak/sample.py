"""What a soak looks at: every process, every part of the disk, how long an event takes."""

from __future__ import annotations

import contextlib
import os
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import lmdb

from tests.kit.programs.jobs import PAGE, state_bytes

MIB = 1 << 20
TABLES = {
    "users": "users, links", "aliases": "users, links", "profiles": "users, links", "merged": "users, links",
    "outbox": "owed, limits", "finished": "owed, limits", "caps": "owed, limits", "applied": "owed, limits",
    "dead": "dead letters", "dead_order": "dead letters", "copies": "dead letters",
    "counters": "counters", "undo": "undo", "meta": "undo",
}  # fmt: skip
"""What a table of a store counts as."""
ROLES = {
    "collect": "collect",
    "run": "job",
    "console": "console",
    "up": "up",
    "pipeline.compile.trial.child": "trial",
    "pipeline.operate.unsaved.child": "previews",
}
"""What a process that `hookline up` has started is called, by a word of its command line."""


@dataclass(slots=True, frozen=True)
class Process:
    """One process."""

    rss: int
    """Bytes."""
    descriptors: int
    threads: int
    blocks: int
    """Of the allocator of Python's objects; 0 where it does not say."""


@dataclass(slots=True, frozen=True)
class Sample:
    """One window."""

    at_secs: float
    sick: str
    """What the sick receiver answered in it."""
    processes: dict[str, Process]
    disk: dict[str, int]
    """Bytes, by part."""
    counts: dict[str, float]
    """Of what there is a number of: deliveries owed, dead letters, versions, webhooks ever seen."""
    times: dict[str, float] = field(default_factory=dict)
    """Milliseconds."""

    def series(self) -> Iterator[tuple[str, float]]:
        """Yield every number by its name."""
        for name, one in self.processes.items():
            yield f"{name} RSS MiB", one.rss / MIB
            yield f"{name} files", one.descriptors
            yield f"{name} threads", one.threads
            yield f"{name} Python blocks", one.blocks
        yield from ((f"disk {name} MiB", size / MIB) for name, size in self.disk.items())
        yield from self.counts.items()
        yield from ((f"{name} ms", took) for name, took in self.times.items())

    def rows(self) -> str:
        """Return some lines for a terminal."""
        head = "  ".join([
            f"{self.at_secs / 60:5.1f} min", f"sick: {self.sick}",
            *(f"{name} {value:,.0f}" for name, value in self.counts.items()),
        ])  # fmt: skip
        took = "  ".join(f"{name} {value:,.1f}" for name, value in self.times.items())
        each = "  ".join(
            f"{name} {one.rss / MIB:.1f} MiB/{one.descriptors} files/{one.threads} threads/{one.blocks:,}"
            for name, one in self.processes.items()
        )
        disk = "  ".join(f"{name} {size / MIB:.2f}" for name, size in self.disk.items())
        return f"{head}\n          ms: {took}\n          {each}\n          disk MiB: {disk}"


def family(pid: int) -> list[int]:
    """Return a process and all that it has started, whatever is alive of them."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for path in Path(f"/proc/{one}/task").glob("*/children"):  # each thread has its own
                found += map(int, path.read_text().split())
    return found


def processes(pids: dict[str, int], blocks: Path) -> dict[str, Process]:
    """Look at processes and those they have started, by what they do."""
    found: dict[str, Process] = {}
    for name, pid in pids.items():
        for one in family(pid):
            with contextlib.suppress(OSError, ValueError, IndexError):
                found[_role(one, name)] = _look(one, blocks)
    return found


def _role(pid: int, name: str) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    if name != "up":
        return name
    return next((ROLES[word] for word in words if word in ROLES), "other: " + " ".join(words))


def _look(pid: int, blocks: Path) -> Process:
    told = blocks / str(pid)
    rss = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    threads = len(os.listdir(f"/proc/{pid}/task"))
    written = told.read_text() if told.exists() else ""
    return Process(rss, len(os.listdir(f"/proc/{pid}/fd")), threads, int(written or 0))


def disk(state: Path, collected: Path, logs: Path) -> dict[str, int]:
    """Return what each part takes on disk."""
    parts: Counter[str] = Counter()
    stores = [*state.glob("shards/*"), *state.glob("identity/*")]
    for store in stores:
        for table, size in _tables(store).items():
            parts[TABLES[table]] += size
    files = sum((store / "data.mdb").stat().st_blocks * 512 for store in stores)
    parts["free in stores"] = files - parts.total()
    parts["journals"] = sum(state_bytes(store / "journal") for store in stores)
    for name in ("versions", "recovery", "source"):
        parts[name] = state_bytes(state / name)
    with contextlib.suppress(FileNotFoundError):
        parts["audit"] = (state / "audit.jsonl").stat().st_size
    parts["state, all"] = state_bytes(state)
    parts["collected"] = state_bytes(collected)
    parts["logs"] = state_bytes(logs)
    return dict(parts)


def rows(state: Path, table: str) -> int:
    """Return how many a table of the shards has."""
    return sum(_tables(store, "entries").get(table, 0) for store in state.glob("shards/*"))


def _tables(store: Path, what: str = "bytes") -> dict[str, int]:
    """Return the bytes of each table, or how many entries it has; the rows are not read."""
    for _ in range(3):
        try:
            with lmdb.open(str(store), readonly=True, lock=False, max_dbs=64) as env, env.begin() as txn:
                sizes = {}
                for name in [bytes(key) for key, _ in txn.cursor()]:
                    told = txn.stat(env.open_db(name, txn=txn, create=False))
                    pages = told["branch_pages"] + told["leaf_pages"] + told["overflow_pages"]
                    sizes[name.decode()] = pages * told["psize"] if what == "bytes" else told["entries"]
                return sizes
        except lmdb.Error:
            continue  # its owner has written in this moment
    return {}


def figures(address: str) -> dict[str, float]:
    """Return the metrics that have no labels."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(\w+) ([\d.e+-]+)$", text, re.MULTILINE)}
