"""From Kafka: what an event costs, and when a consumer that does nothing has it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from confluent_kafka import Consumer, TopicPartition

from tests.bench.latency import SPAWN, Latency, result, write_topics
from tests.bench.measure import Candidate, Process, left_out
from tests.bench.streams.candidates import USERS, job, make_config, program
from tests.bench.streams.kafka_topics import CRC32, NoBroker, filled, make_topics
from tests.kit.streams.samples import ROOT

if TYPE_CHECKING:
    from tests.bench.sections import Bench


def kafka(bench: Bench) -> None:
    """Events from a topic, aligned with a topic of user updates: one event in twenty fires, and none."""
    try:
        brokers = bench.brokers()
    except NoBroker as reason:
        left_out(f"kafka: {reason}")
        return
    number = bench.events
    candidates = [
        kafka_job(bench, f"{share:.0%} fires", brokers, bench.stream(share, number), number)
        for share in bench.shares
    ]
    title = f"kafka: {number:,} events of one partition, aligned with users; rate between commits"
    bench.compare(title, candidates, "event")


def kafka_job(
    bench: Bench,
    name: str,
    brokers: str,
    stream: Path,
    number: int,
    *flags: str,
    partitions: int = 1,
    partitioner: str = CRC32,
) -> Candidate:
    """Return a job that reads the stream from topics, each time all of it."""
    events, updates = filled(brokers, stream, partitions, partitioner)
    source = f'{{kafka: {{brokers: "{brokers}", events: [{events}], users: [{updates}], group: "{events}"}}}}'
    config = make_config(bench.place(), bench.origin, None, source=source)
    # `--yes`: in a round before this one the group has read it, with a state that is gone.
    return job(name, config, number, *flags, "--yes", watch=reading(config / "state", number + USERS))


def reading(state: Path, records: int) -> Callable[[Process], float | None]:
    """Return what waits until a job has committed so many records, and returns how many it read per second.

    In a process of its own: what this one has in memory counts as that of the candidates it starts.
    """

    def watch(process: Process) -> float | None:
        script = [*program("programs.watch"), str(state), str(records), str(process.pid)]
        result = subprocess.run(script, capture_output=True, text=True, cwd=ROOT)
        return float(result.stdout) if result.returncode == 0 else None

    return watch


def bare(brokers: str, rate: int, secs: float, warm_up_secs: float) -> Latency:
    """Return how old events are when a consumer that does nothing with them has them, and what it takes."""
    (topic,) = make_topics(brokers, "bare")
    ours, theirs = SPAWN.Pipe()
    total = int(rate * (secs + warm_up_secs))
    reader = SPAWN.Process(target=_only_read, args=(brokers, topic, total, theirs), daemon=True)
    reader.start()
    ours.recv()
    writer = SPAWN.Process(
        target=write_topics, args=(brokers, (topic, topic), rate, secs + warm_up_secs, False)
    )
    writer.start()
    try:
        noted, cpu_secs = ours.recv()
    finally:
        reader.kill()
        writer.join()
    ages = [age * 1000 for _, age in noted[int(rate * warm_up_secs) :]]
    return result(rate, ages, cpu_secs / total, 0)


def _only_read(brokers: str, topic: str, total: int, pipe: Connection) -> None:
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": topic, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    ages: list[tuple[float, float]] = []
    pipe.send("ready")
    spent = time.process_time()
    while len(ages) < total:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            now = time.time()
            ages.append((now, now - orjson.loads(message.value() or b"")["properties"]["sent"]))
    pipe.send((ages, time.process_time() - spent))
