"""How `state.tar.gz` was made: by a job of version 6dbd548 (rows of format 1), killed twice in mid-epoch.

Run by that version's interpreter, in its checkout, which this script takes its jobs and receiver from:

    cd CHECKOUT && .venv/bin/python THIS/make.py THIS/state.tar.gz

It tries until everything is there that a state directory can hold. The archive has the config, the stream,
the state, and `arrived.json`: what the receiver was sent before the last kill.
"""

# mypy: ignore-errors
# It is checked where it runs: in another version.

from __future__ import annotations

import json
import shutil
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any
from zlib import crc32

CHECKOUT = Path.cwd()
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests"), str(CHECKOUT / "tests" / "recovery")]

import killing  # noqa: E402  # found by the path above
from failing import KILLED  # noqa: E402  # likewise
from killing import STORE, Trial, make_stream, trial, workshop  # noqa: E402
from pipeline.runtime.tokens import read_tokens  # noqa: E402
from pipeline.state.codec import unpack_dead, unpack_row  # noqa: E402
from pipeline.state.journal import read_journal  # noqa: E402
from pipeline.state.store import Store, Table  # noqa: E402
from receiving import receiving  # noqa: E402

EVENTS = 700
RETRY = "retry: {min_delay: 2s, max_delay: 2s, max_age: 36500d}"
"""Whoever reads this state may do so years later."""


def answer(path: str, attempt: int, body: bytes) -> int:
    """Let some requests fail once, and some never be answered."""
    luck = crc32(body)
    if path in ("/plain", "/ordered") and attempt == 1 and luck % 3 == 0:
        return 503
    if path == "/joined" and luck % 11 == 0:
        return 0
    return killing.answer(path, attempt, body)


def prepare(one: Trial, epoch: str) -> None:
    """Write the config."""
    shutil.rmtree(one.folder / "config", ignore_errors=True)
    (one.folder / "config" / "webhooks").mkdir(parents=True)
    (one.folder / "config" / "pipeline.yaml").write_text(
        f"network: {{allow: [127.0.0.0/8]}}\nepoch: {epoch}\nshards: 3\n"
        f"delivery: {{concurrency: 8, {RETRY}}}\nlog: {{level: warning, format: json}}\n"
    )
    for name, text in killing.WEBHOOKS.items():
        file = one.folder / "config" / "webhooks" / f"{name}.yaml"
        file.write_text(f"id: {name}\n" + text.replace("{url}", one.receiver.url))


def run(one: Trial, *kills: killing.Kill) -> int:
    """Run the job with small chunks."""
    since = one.receiver.connections
    one.workshop.start(
        {
            "argv": one.words(),
            "out": str(one.folder),
            "kills": kills,
            "set": {"pipeline.deliver.lane:MAX_ENTRIES": one.memory, "pipeline.steps.source:CHUNK_LINES": 10},
        }
    )
    return one.wait(since)


def holds(state: Path) -> Counter[str]:
    """Count what a copy of the state holds, by what a reader of old rows must cope with."""
    copy = state.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(state, copy, ignore=shutil.ignore_patterns("*.sock"))
    found: Counter[str] = Counter()
    tokens = {shard: seq for _, shard, seq in read_tokens(copy / "recovery").get("shard", {}).values()}
    for path in sorted(copy.rglob("data.mdb")):
        store = Store(path.parent)
        for table in Table:
            rows = list(store.committed(table, b"", b""))
            found[table.name] += len(rows)
            if table is Table.OUTBOX:
                found["ordered"] += sum(unpack_row(key, value).sequence > 0 for key, value in rows)
                found["tried"] += sum(unpack_row(key, value).attempt > 0 for key, value in rows)
            if table is Table.DEAD:
                found.update(unpack_dead(value).kind for _, value in rows)
        found["undo"] += store._env.stat()["entries"] > 0
        if path.parent.parent.name == "shards":
            token = tokens[int(path.parent.name)]
            found["ahead"] += store.seq == token + 1
            found["journal"] += len(read_journal(path.parent / "journal", token))
        store.close()
    return found


WANTED = (
    *("USERS", "CAPS", "OUTBOX", "FINISHED", "DEAD", "COUNTERS", "APPLIED", "ALIASES", "PROFILES"),
    *("ordered", "tried", "delivery", "render", "record", "ahead", "journal"),
)


def main(archive: Path) -> None:
    """Try until the state holds everything."""
    killing.WEBHOOKS["limited"] += "delivery: {ordering: none}\n"
    with receiving(answer) as receiver, workshop() as shop:
        for number in range(200):
            with trial(shop, receiver) as one:
                receiver.answer = answer
                make_stream(one.stream, EVENTS)
                prepare(one, "300ms")
                if run(one, (STORE + "commit", "after", 5 + number % 4)) != KILLED:
                    continue
                prepare(one, "20ms")
                if run(one, (STORE + "commit", "after", 2 + number % 9)) != KILLED:
                    continue
                found = holds(one.state)
                print(number, dict(found), flush=True)
                if all(found[what] for what in WANTED):
                    pack(one, archive)
                    return
    raise SystemExit("never all at once")


def pack(one: Trial, archive: Path) -> None:
    """Write the archive."""
    arrivals: list[dict[str, Any]] = [
        {
            "id": each.id,
            "path": each.path,
            "attempt": each.attempt,
            "body": each.body.decode(),
            "status": each.status,
        }
        for each in one.receiver.arrivals
    ]
    noted = {"url": one.receiver.url, "arrivals": arrivals, "unsettled": sorted(one.unsettled)}
    (one.folder / "arrived.json").write_text(json.dumps(noted))
    for socket in one.state.glob("*.sock"):
        socket.unlink()
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("config", "stream.jsonl", "state", "arrived.json"):
            tar.add(one.folder / name, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
