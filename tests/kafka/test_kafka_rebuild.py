"""Lost stores are made anew from topics up to where the job was; what came since is its own to read."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import orjson
import pytest

from pipeline.outbox.reading.view import rows
from pipeline.receiver.server import Receiver
from pipeline.store.rows import Table
from tests.kafka.reading.test_kafka_lives import made_anew
from tests.kafka.servers.topics import Topics, until
from tests.kafka.test_kafka_job import start

WEBHOOK = """
id: changed
trigger: {changes: [n]}
request: {url: "http://127.0.0.1:%d/hook", body: {n: "{{ user.properties.n }}"}}
"""
PIPELINE = """
source: {kafka: {brokers: "%s", events: [%s], group: "%s"}}
join: {partitions: %s}
state: %s
epoch: 200ms
network: {allow: [127.0.0.0/8]}
"""


def numbers(state: Path) -> dict[str, int]:
    return {key.decode(): orjson.loads(value)[1]["n"] for _, key, value in rows(state, Table.USERS)}


@pytest.mark.parametrize("partitions", ["apart", "together"])
def test_what_came_since_the_last_epoch_is_not_known_before_the_job_reads_it(
    topics: Topics, tmp_path: Path, partitions: str
) -> None:
    events, config, state, log = (
        topics.create("events", 2),
        tmp_path / "config",
        tmp_path / "state",
        tmp_path / "log",
    )
    (config / "webhooks").mkdir(parents=True)

    def append(first: int, last: int) -> None:
        for number in range(first, last):
            # The second partition has the fewer records.
            user = number % 4 == 0
            update = {"type": "user", "user_id": f"u{int(user)}", "set": {"n": number}}
            topics.send_many(events, [orjson.dumps(update)], first_ms=number + 1, partition=int(user))

    with Receiver() as receiver:
        (config / "webhooks" / "changed.yaml").write_text(WEBHOOK % receiver.port)
        settings = (topics.broker.address, events, f"group-{topics.suffix}", partitions, state)
        (config / "pipeline.yaml").write_text(PIPELINE % settings)

        def arrived() -> set[int]:
            return {orjson.loads(request.body)["n"] for request in receiver.requests}

        def run(last: int) -> None:
            job = start(log, "run", "-c", config)
            try:
                until(lambda: arrived() == set(range(last)), f"{last} requests: {log.read_text()[-2000:]}")
                job.send_signal(signal.SIGTERM)
                assert job.wait(20) == 0, log.read_text()[-2000:]
            finally:
                job.kill()
                job.wait()

        append(0, 40)
        run(40)
        assert numbers(state) == {"u:u0": 39, "u:u1": 36}
        append(40, 80)
        shutil.rmtree(state / "shards")
        rebuilding = start(log, "state", "rebuild", "-c", config)
        assert rebuilding.wait(40) == 0, log.read_text()[-2000:]
        assert numbers(state) == {"u:u0": 39, "u:u1": 36}
        run(80)
        shutil.rmtree(state / "shards")
        made_anew(topics, "events", lines=1)
        rebuilding = start(log, "state", "rebuild", "-c", config)
        assert rebuilding.wait(40) == 3
        assert "made anew" in log.read_text()
