"""Ten million users: how fast the join is, how much memory it takes, how long a restart takes.

    python tests/bench/users.py [--users 10000000] [--events 500000] [--folder DIR]

First a job reads one update per user, then a second one, on the same state directory, events of random users
(nobody fires, so that only the join is measured); the same again with 100,000 users. Prints records/s, the
process's own memory (RSS without pages of the stores' files) and the time from start to the first record.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import machine

WEBHOOK = """
id: w
trigger: {events: [Purchase], where: [{user.properties.plan: never}]}
request: {url: "https://example.com/"}
"""


def write_users(path: Path, users: int) -> None:
    """Write one update per user."""
    plans = ("free", "pro", "enterprise")
    with path.open("w") as out:
        for start in range(0, users, 10_000):
            out.write(
                "".join(
                    f'{{"type":"user","user_id":"u{n}","set":{{"name":"User Number {n}",'
                    f'"email":"u{n}@example.com",'
                    f'"plan":"{plans[n % 3]}","country":"DE"}}}}\n'
                    for n in range(start, min(start + 10_000, users))
                )
            )


def write_events(path: Path, users: int, events: int) -> None:
    """Write events of random users."""
    random_ = random.Random(1)
    with path.open("w") as out:
        for number in range(events):
            out.write(
                f'{{"type":"event","id":"e{number}","name":"Purchase","user_id":"u{random_.randrange(users)}",'
                f'"properties":{{"amount":{number % 1000}}}}}\n'
            )


def own_memory(pid: int) -> int:
    """Return the anonymous memory of a process in bytes: what the page cache cannot take back."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def run(config: Path, stream: Path) -> tuple[float, int]:
    """Run the job over a stream; return its seconds and the most own memory it had."""
    (config / "pipeline.yaml").write_text(
        f"source: {{jsonl: {{paths: [{stream}]}}}}\nstate: {config / 'state'}\n"
    )
    begun = time.monotonic()
    job = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "run", "-c", str(config), "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    most = 0
    while job.poll() is None:
        try:
            most = max(most, own_memory(job.pid))
        except OSError:
            break
        time.sleep(0.1)
    if job.wait():
        raise RuntimeError(f"the job failed with {job.returncode}")
    return time.monotonic() - begun, most


def measure(folder: Path, users: int, events: int) -> None:
    """Print one row."""
    config = folder / f"{users}"
    (config / "webhooks").mkdir(parents=True)
    (config / "webhooks" / "w.yaml").write_text(WEBHOOK)
    stream, one = folder / "stream.jsonl", folder / "one.jsonl"
    write_users(stream, users)
    load_secs, load_memory = run(config, stream)
    write_events(stream, users, events)
    # Another recording on the same state: the same users, other lines.
    events_stream = folder / "events.jsonl"
    stream.rename(events_stream)
    join_secs, join_memory = run(config, events_stream)
    write_events(one, users, 1)
    restart_secs, _ = run(config, one)
    size = sum(path.stat().st_blocks * 512 for path in (config / "state").rglob("data.mdb"))
    print(
        f"{users:>12,}{users / load_secs:>14,.0f}{events / join_secs:>14,.0f}"
        f"{max(load_memory, join_memory) / 1e6:>12,.0f}{restart_secs:>12.1f}{size / 1e6:>12,.0f}",
        flush=True,
    )
    events_stream.unlink()
    one.unlink()


def main() -> None:
    """Print the two rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=10_000_000)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    print(machine())
    print(f"{'users':>12}{'updates/s':>14}{'joins/s':>14}{'memory MB':>12}{'restart s':>12}{'store MB':>12}")
    with tempfile.TemporaryDirectory(prefix="hookline-users-", dir=chosen.folder) as name:
        for users in (100_000, chosen.users):
            measure(Path(name), users, chosen.events)


if __name__ == "__main__":
    main()
