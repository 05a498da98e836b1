"""Topics of Avro and JSON Schema: a real registry, the serializers that everybody uses, the job between."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext, StringSerializer

from pipeline.compile.shapes import read_formats
from pipeline.config.job import load_pipeline
from pipeline.decode.scan import scan
from pipeline.model.records import Event, PropertyUpdate
from pipeline.operate.running.status import status
from pipeline.receiver.server import Receiver
from pipeline.recording.record import record
from pipeline.runtime.readers import make_readers, with_schemas
from pipeline.sources.chunk import RawChunk
from tests.kafka.conftest import do_without
from tests.kafka.servers.apicurio import Apicurio, NoRegistry
from tests.kafka.servers.topics import Topics, until
from tests.kafka.test_kafka_job import start
from tests.kit.programs.run import HOOKLINE, finished
from tests.kit.receivers.registry import a_registry, avro, framed

DRAFT = "http://json-schema.org/draft-07/schema#"
WEBHOOK = """
id: all
trigger: {events: "*"}
request: {url: "http://127.0.0.1:%d/hook", body: {event: "{{ event }}", plan: "{{ user.properties.plan }}"}}
"""

SHAPE = """
records:
  - when: [{kind: order}]
    event: {name: kind, user_id: buyer.id, id: id, time: at, properties: "*"}
"""

PIPELINE = """
source:
  kafka:
    brokers: "%s"
    group: "%s"
    topics: %s
state: %s
epoch: 200ms
shards: 2
network: {allow: [127.0.0.0/8]}
"""


@pytest.fixture(scope="module")
def apicurio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    """A real registry, one for all tests."""
    try:
        own = Apicurio.start(tmp_path_factory.mktemp("apicurio"))
    except NoRegistry as reason:
        do_without("Schema Registry", reason)
    yield own
    own.stop()


@pytest.fixture
def client(apicurio: Apicurio) -> Iterator[SchemaRegistryClient]:
    """What serializers register their schemas with."""
    with SchemaRegistryClient({"url": apicurio.url}) as client:
        yield client


def configure(tmp_path: Path, topics: Topics, receiver: Receiver, formats: dict[str, Any]) -> Path:
    config = tmp_path / "config"
    (config / "webhooks").mkdir(parents=True)
    (config / "shapes").mkdir()
    (config / "webhooks" / "all.yaml").write_text(WEBHOOK % receiver.port)
    (config / "shapes" / "shop.yaml").write_text(SHAPE)
    words = (topics.broker.address, f"group-{topics.suffix}", json.dumps(formats), tmp_path / "state")
    (config / "pipeline.yaml").write_text(PIPELINE % words)
    return config


def order(version: int) -> dict[str, Any]:
    """Return the schema of an order, which evolves: a field more, then a decimal for a double."""
    money = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    buyer = {"type": "record", "name": "Buyer", "fields": [{"name": "id", "type": "long"}]}
    fields: list[dict[str, Any]] = [
        {"name": "kind", "type": "string"},
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "buyer", "type": buyer},
        {"name": "total", "type": money} if version == 3 else {"name": "sum", "type": "double"},
    ]
    if version > 1:
        fields.append({"name": "coupon", "type": ["null", "string"], "default": None})
    return {"type": "record", "name": "Order", "namespace": "shop", "fields": fields}


def test_schemas_evolve_and_their_registry_goes_but_no_request_changes(
    topics: Topics, apicurio: Apicurio, client: SchemaRegistryClient, tmp_path: Path
) -> None:
    events, users = topics.create("orders", 2), topics.create("users", 2)
    client_json = JSONSerializer(
        json.dumps({"$schema": DRAFT, "title": "User", "type": "object"}),
        client,
        conf={"auto.register.schemas": True},
    )
    serializers = [AvroSerializer(client, json.dumps(order(version))) for version in (1, 2, 3)]
    key = StringSerializer()
    sent = 0

    def produce() -> None:
        nonlocal sent
        context = SerializationContext(users, MessageField.VALUE)
        for id in (7, 8):
            user = {"type": "user", "user_id": str(id), "set": {"plan": f"plan-{sent}"}}
            topics.producer.produce(users, client_json(user, context), key(str(id)), id % 2)
        assert topics.producer.flush(20) == 0
        for version, serialize in enumerate(serializers, 1):
            value: dict[str, Any] = {
                "kind": "order", "id": f"o{sent}", "at": 1_767_323_045_678 + sent,
                "buyer": {"id": 7 + sent % 2}, "coupon": None,
                **({"total": Decimal("12.30")} if version == 3 else {"sum": 12.3}),
            }  # fmt: skip
            raw = serialize(value, SerializationContext(events, MessageField.VALUE))
            topics.producer.produce(events, raw, key(str(7 + sent % 2)), (7 + sent % 2) % 2)
            sent += 1
        assert topics.producer.flush(20) == 0

    with Receiver() as receiver, a_registry() as between:
        # The job asks a door that can be shut: the real one stays for others.
        between.script = lambda path: apicurio.get(path.removeprefix("/api"))
        config = configure(
            tmp_path, topics, receiver,
            {events: {"format": {"avro": {"registry": between.url, "then": "shop"}}},
             users: {"format": {"json_schema": {"then": "native"}}, "side": "users"}},
        )  # fmt: skip
        log = tmp_path / "log"

        def requests() -> set[tuple[str, bytes]]:
            return {(str(request.message_id), request.body) for request in receiver.requests}

        def received() -> None:
            until(lambda: len(requests()) >= sent, f"{sent} requests:\n{log.read_text()[-3000:]}", 60)

        produce()
        job = start(log, "run", "-c", config, "--processes", 2)
        try:
            received()
            assert {path.rpartition("/")[0] for path in between.asked} == {"/api/schemas/ids"}
            between.stop()
            for _ in range(20):
                produce()
            until(lambda: len(requests()) > 3, "a request more", 40)
            job.kill()
            job.wait()
            produce()
            job = start(log, "run", "-c", config, "--processes", 2)
            received()
            job.send_signal(signal.SIGTERM)
            assert job.wait(20) == 0, log.read_text()[-2000:]
        finally:
            job.kill()
            job.wait()
        live = requests()
        bodies = {json.loads(body)["event"]["id"]: json.loads(body) for _, body in live}
        assert len(live) == len(bodies) == sent
        first, last = bodies["o0"], bodies[f"o{sent - 1}"]
        assert first["event"]["user_id"] == "7"
        assert first["event"]["time"] == "2026-01-02T03:04:05.678Z"
        assert first["event"]["properties"] == {"sum": 12.3}
        assert last["event"]["properties"] == {"total": 12.3, "coupon": None}
        assert last["plan"] == f"plan-{sent - 3}", "joined with what JSON Schema framed"

        # What `record` writes needs neither the registry nor the state directory.
        loaded = load_pipeline(config).require()
        formats = read_formats(config, loaded.defaults)
        out = tmp_path / "recorded"
        source, fetcher = with_schemas(
            make_readers(loaded, aside="record", formats=formats), loaded, config, formats, out / "schemas"
        )
        done = [0]
        record(
            source, out, stopping=lambda: done[0] >= sent + 2 * sent // 3,
            progress=lambda recorded: done.__setitem__(0, recorded.records), sync_secs=0.05,
        )  # fmt: skip
        assert fetcher is not None
        fetcher.close()
        (tmp_path / "state").rename(tmp_path / "elsewhere")
        receiver.requests.clear()
        words = ("replay", "-c", config, "--state", tmp_path / "replayed", out)
        finished(HOOKLINE, *words)
        assert requests() == live


def test_a_registry_that_is_down_holds_its_partition_and_no_other(topics: Topics, tmp_path: Path) -> None:
    framed_topic, plain = topics.create("framed"), topics.create("plain", 2)
    schema = order(1)
    value = {"kind": "order", "at": datetime(2026, 1, 2, tzinfo=UTC), "buyer": {"id": 7}, "sum": 1.5}
    with Receiver() as receiver, a_registry() as registry:
        registry.add(5, schema)
        registry.stop()
        formats = {
            framed_topic: {"format": {"avro": {"registry": registry.url, "then": "shop"}}, "side": "events"},
            plain: {"format": "native", "side": "events"},
        }
        config = configure(tmp_path, topics, receiver, formats)
        for number in range(300):
            raw = framed(5, avro(schema, value | {"id": f"f{number}"}))
            topics.producer.produce(framed_topic, raw, b"7", 0)
            event = {"type": "event", "name": "plain", "user_id": "8", "id": f"p{number}"}
            topics.producer.produce(plain, json.dumps(event).encode(), b"8", 1)
        topics.producer.produce(framed_topic, framed(6, b"?"), b"7", 0)
        assert topics.producer.flush(20) == 0
        log = tmp_path / "log"

        def ids() -> list[str]:
            return sorted(json.loads(request.body)["event"]["id"] for request in receiver.requests)

        def waits() -> str:
            live = status(tmp_path / "state").running
            return "" if live is None else live.waits

        job = start(log, "run", "-c", config)
        try:
            until(lambda: len(ids()) >= 300, f"the others:\n{log.read_text()[-2000:]}", 40)
            until(lambda: "records wait for schema 5 of" in waits(), "status to say so")
            assert ids() == sorted(f"p{number}" for number in range(300))
            job.kill()
            job.wait()
            job = start(log, "run", "-c", config)
            registry.start()
            until(lambda: len(set(ids())) >= 600, f"all:\n{log.read_text()[-2000:]}", 40)
            until(lambda: status(tmp_path / "state").records["invalid"] == 1, "the unknown one")
            assert waits() == ""
            job.send_signal(signal.SIGTERM)
            assert job.wait(20) == 0, log.read_text()[-2000:]
        finally:
            job.kill()
            job.wait()
    assert {one for one in ids() if one.startswith("f")} == {f"f{number}" for number in range(300)}
    said = log.read_text()
    assert said.count("schemas cannot be fetched") <= 2, "once per run"
    assert "the registry does not have a schema" in said
    folders = [*(tmp_path / "state" / "schemas").rglob("*")]
    assert folders
    assert all(path.stat().st_mode & 0o077 == 0 for path in folders)


ROW = {"type": "record", "name": "Value", "fields": [
    {"name": "id", "type": "long"}, {"name": "plan", "type": "string"},
    {"name": "since", "type": {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"}},
]}  # fmt: skip
CHANGE = {"type": "record", "name": "Envelope", "fields": [
    {"name": "before", "type": ["null", ROW]}, {"name": "after", "type": ["null", "Value"]},
    {"name": "op", "type": "string"},
    {"name": "source", "type": {"type": "record", "name": "Source", "fields": [
        {"name": "table", "type": "string"}, {"name": "ts_ms", "type": "long"}]}},
]}  # fmt: skip
KEY = {"type": "record", "name": "Key", "fields": [{"name": "id", "type": "long"}]}


def test_changes_of_tables_in_avro_are_merged_by_their_commits_once_their_schemas_are_there(
    topics: Topics, tmp_path: Path
) -> None:
    table, events = topics.create("users"), topics.create("events")
    with Receiver() as receiver, a_registry() as registry:
        registry.add(1, CHANGE)
        registry.add(2, KEY)
        registry.stop()
        formats = {
            table: {"format": {"avro": {"registry": registry.url, "then": "debezium"}}},
            events: {"format": "native", "side": "events"},
        }
        config = configure(tmp_path, topics, receiver, formats)
        now = time.time_ns() // 1_000_000
        event = {"type": "event", "name": "Order", "user_id": "7", "id": "e1"}
        topics.producer.produce(events, json.dumps(event).encode(), b"7", 0, timestamp=now - 5_000)
        row = {"id": 7, "plan": "pro", "since": 1_500_000}
        source = {"table": "users", "ts_ms": now - 6_000}
        change = avro(CHANGE, {"before": None, "after": row, "op": "u", "source": source})
        topics.producer.produce(table, framed(1, change), framed(2, avro(KEY, {"id": 7})), 0, timestamp=now)
        assert topics.producer.flush(20) == 0
        job = load_pipeline(config).require()
        read_by = read_formats(config, job.defaults)
        source_of_all, fetcher = with_schemas(
            make_readers(job, formats=read_by), job, config, read_by, tmp_path / "state" / "schemas"
        )
        assert fetcher is not None
        reader = source_of_all.open(source_of_all.list_partitions()[0], None)
        chunks: list[RawChunk] = []

        def came() -> int:
            chunk = reader.read(200)
            chunks.extend([] if chunk is None else [chunk])
            return sum(map(len, chunks))

        try:
            until(lambda: came() > 0 or "schema 1 of" in fetcher.waits(), "the registry to be missed")
            assert chunks == []
            registry.start()
            until(lambda: came() == 2, "both records")
        finally:
            reader.close()
            fetcher.close()
        found = [
            one for chunk in chunks for one in scan(chunk, format=read_by, wants=lambda *_: True).records
        ]
        update, then = found
        assert isinstance(update, PropertyUpdate)
        assert isinstance(then, Event)
        assert (update.user_id, update.set) == (
            "7",
            {"id": 7, "plan": "pro", "since": "1970-01-01T00:00:01.5Z"},
        )
        assert registry.asked.count("/api/schemas/ids/1") == 1
