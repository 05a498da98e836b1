"""Identity and rebuilding where a person's two ids live on different partitions, shards and processes."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from pipeline.job.steps.keys import shard_of
from pipeline.outbox.reading.view import rows
from pipeline.receiver.server import Receiver
from pipeline.store.rows import Table
from tests.kit.programs.forge import forge
from tests.kit.programs.jobs import PARTITIONS, Cluster, ready
from tests.kit.programs.run import Bench, until

SHARDS = 4
NAMES = ("p0", "p1", "p2")


def worker(key: str) -> int:
    """Return which of two processes has the user."""
    return shard_of(key, SHARDS) % 2


GUEST = next(f"g{n}" for n in range(100) if worker(f"a:g{n}") == 0)
KNOWN = next(f"k{n}" for n in range(100) if worker(f"u:k{n}") == 1)


class Topics:
    """Partitions as files; what is appended is waited for, so that the order across them is the test's."""

    def __init__(self, bench: Bench, receiver: Receiver) -> None:
        self.bench, self.receiver = bench, receiver
        self.files = {name: bench.folder / f"{name}.jsonl" for name in NAMES}
        self.written = 0
        self.partitions = {PARTITIONS: {name: str(path) for name, path in self.files.items()}}
        """What lets a process read these files."""
        for path in self.files.values():
            path.touch()

    def append(self, partition: str, **line: Any) -> None:
        with self.files[partition].open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.written += 1

    def taken_in(self) -> None:
        """Wait until everything is committed."""
        until(lambda: self.bench.status()["records"]["read"] >= self.written)

    def ask(self, partition: str, **who: str) -> dict[str, Any]:
        """Send an event and return what was known of its user."""
        name = f"ask{self.written}"
        self.append(partition, type="event", name="Ask", id=name, **who)

        def answer() -> dict[str, Any] | None:
            bodies = [json.loads(request.body) for request in self.receiver.requests]
            return next((body["user"] for body in bodies if body["id"] == name), None)

        return until(answer)


@pytest.fixture
def topics(folder: Path, receiver: Receiver) -> Topics:
    bench = Bench(folder, f"{{network: {{allow: [127.0.0.0/8]}}, epoch: 200ms, shards: {SHARDS}}}")
    folder.mkdir()
    body = "  body: {id: '{{ event.id }}', user: '{{ user }}'}\n"
    bench.webhook("asked", receiver.url("/asked"), body, events="[Ask]")
    bench.append()
    return Topics(bench, receiver)


def start(topics: Topics, processes: int) -> Cluster:
    job = Cluster(topics.bench, processes, before=topics.partitions)
    try:
        return ready(topics.bench, job)
    except BaseException:
        job.kill()
        raise


def users(state: Path) -> dict[bytes, Any]:
    """Return what is stored of every user, without the partition that wrote it last."""
    return {key: json.loads(value)[1] for _, key, value in rows(state, Table.USERS)}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_link_joins_ids_of_other_partitions_shards_and_processes_and_outlives_a_kill(
    topics: Topics, processes: int
):
    with start(topics, processes) as job:
        topics.append("p1", type="user", anonymous_id=GUEST, set={"from": "ad", "plan": "trial"})
        topics.append("p0", type="user", user_id=KNOWN, set={"plan": "pro"})
        topics.taken_in()
        before = topics.ask("p1", anonymous_id=GUEST)
        assert before["properties"] == {"from": "ad", "plan": "trial"}
        assert not before["identified"]

        topics.append("p2", type="identify", anonymous_id=GUEST, user_id=KNOWN)
        topics.taken_in()
        joined = {"from": "ad", "plan": "pro"}
        for partition in NAMES:
            user = topics.ask(partition, anonymous_id=GUEST)
            assert (user["id"], user["properties"]) == (KNOWN, joined), partition
        assert topics.ask("p0", user_id=KNOWN)["properties"] == joined
        for member in job.members:
            member.send_signal(signal.SIGKILL)

    with start(topics, 3 - processes) as job:
        user = topics.ask("p1", anonymous_id=GUEST)
        assert (user["id"], user["properties"]) == (KNOWN, joined)
        topics.append("p1", type="user", anonymous_id=GUEST, set={"city": "Bonn"})
        topics.taken_in()
        assert topics.ask("p0", user_id=KNOWN)["properties"] == {**joined, "city": "Bonn"}
        job.stop()


def rebuild(topics: Topics) -> dict[str, Any]:
    bench, out, err = topics.bench, topics.bench.folder / "rebuilt", topics.bench.folder / "stderr"
    words = ["state", "rebuild", "--json", "-c", str(bench.config), "--state", str(bench.state)]
    environment = {**bench.environ, "HOOKLINE_SOURCE": str(bench.stream)}
    assert forge().start(words, environment, out, err, before=topics.partitions).wait(60) == 0, (
        err.read_text()
    )
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_lost_stores_are_rebuilt_from_all_partitions_and_the_job_goes_on(topics: Topics):
    for n in range(300):
        partition = NAMES[n % 3]
        topics.append(partition, type="user", user_id=f"{partition}-{n % 7}", set={"n": n, f"x{n % 5}": n})
        topics.append(partition, type="user", anonymous_id=f"{partition}-a{n % 11}", set={"m": n})
    with start(topics, 2) as job:
        topics.taken_in()
        for name, other in zip(NAMES, (*NAMES[1:], NAMES[0]), strict=True):
            topics.append(name, type="identify", anonymous_id=f"{other}-a3", user_id=f"{other}-3")
        topics.taken_in()
        job.stop()
    state = topics.bench.state
    before = users(state)
    assert len(before) > 40
    for shard in (0, 3):
        shutil.rmtree(state / "shards" / f"{shard:03d}")
    shutil.rmtree(state / "identity" / "p1")
    assert len(users(state)) < len(before)

    done = rebuild(topics)
    assert (sorted(done["shards"]), done["identities"], done["records"]) == ([0, 3], ["p1"], topics.written)
    assert users(state) == before
    assert not (state / "rebuilding").exists()
    nothing = {"shards": [], "identities": [], "records": 0, "invalid": 0, "gone": []}
    assert rebuild(topics) == nothing

    with start(topics, 1) as job:
        for name in NAMES:
            user = topics.ask("p1", anonymous_id=f"{name}-a3")
            assert (user["id"], user["properties"]) == (f"{name}-3", before[f"u:{name}-3".encode()])
        job.stop()
