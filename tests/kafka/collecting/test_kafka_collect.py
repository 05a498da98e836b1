"""What is collected into a topic is acknowledged by its brokers before it counts as kept."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from pipeline.collect.batch import Batch, Member, Refused, Why
from pipeline.collect.sinks.kafka import KafkaSink
from pipeline.model.errors import ConfigError, Fatal
from pipeline.telemetry.happenings import COLLECT_KEEPING, COLLECT_REFUSING, COLLECT_UNFIT
from tests.collect.sinks.kit import batch, in_loop, member, named, section_to
from tests.kafka.servers.broker import Broker, free_port
from tests.kafka.servers.secured import Security, forbid, permit
from tests.kafka.servers.topics import Topics


@pytest.fixture
def mortal(broker: Broker) -> Iterator[Broker]:
    """The broker, for a test that kills it; it runs again afterwards."""
    if not broker.owned:
        pytest.skip("a broker that is not ours is not killed")
    yield broker
    if broker.process is None:
        broker.start()


def opened(topics: Topics, topic: str, **settings: object) -> KafkaSink:
    return KafkaSink(section_to(topics.broker.address, topic, settings))


def read(topics: Topics, topic: str, partitions: int = 1) -> list[Message]:
    """Return all messages of a topic, partition by partition."""
    consumer = Consumer({"bootstrap.servers": topics.broker.address, "group.id": "x", "log_level": 0})
    found: list[Message] = []
    try:
        for number in range(partitions):
            at = TopicPartition(topic, number, 0)
            end = consumer.get_watermark_offsets(at, timeout=20)[1]
            consumer.assign([at])
            while not found or found[-1].partition() != number or (found[-1].offset() or 0) < end - 1:
                if end == 0:
                    break
                message = consumer.poll(20)
                assert message is not None
                assert message.error() is None
                found.append(message)
    finally:
        consumer.close()
    return found


def name_of(message: Message) -> str:
    return (message.value() or b"")[7:-2].decode()


@in_loop
async def test_members_are_messages_keyed_by_user_with_their_headers_in_order(topics: Topics) -> None:
    topic = topics.create("collected", 3)
    sink = opened(topics, topic)
    for number in range(30):
        racing = [batch(member(f"{number}-{at}", f"u{number % 4}", at), page=True) for at in (3, 1, 2)]
        assert await asyncio.gather(*map(sink.keep, racing)) == [0, 0, 0]
    assert await sink.keep(named("29-1", "new")) == 1
    assert await sink.keep(batch(Member(None, None, None, None, ()))) == 0
    await sink.close()
    found = read(topics, topic, 3)
    assert len(found) == 92
    for user in range(4):
        own = [message for message in found if message.key() == b"u%d" % user]
        assert len({message.partition() for message in own}) == 1
        names = [name_of(message) for message in own if name_of(message) != "new"]
        assert names == [f"{number}-{at}" for number in range(user, 30, 4) for at in (1, 2, 3)]
    assert dict(found[0].headers() or ())["hk-key"] == b"server"
    (nothing,) = [message for message in found if message.key() is None]
    assert nothing.value() is None
    for partition in range(3):
        times = [message.timestamp()[1] for message in found if message.partition() == partition]
        assert times == sorted(times)


def test_while_the_broker_is_killed_nothing_is_called_kept_and_nothing_is_lost(
    mortal: Broker, topics: Topics
) -> None:
    topic = topics.create("collected", 2)

    @in_loop
    async def load() -> None:
        sink, stop, go = opened(topics, topic), asyncio.Event(), asyncio.Event()
        go.set()
        told: list[tuple[float, str]] = []
        refused: Counter[Why] = Counter()
        slowest = 0.0

        async def client(number: int) -> None:
            nonlocal slowest
            turn = 0
            while await go.wait() and not stop.is_set():
                name, began = f"{number}-{turn}", time.monotonic()
                try:
                    await sink.keep(batch(member(name, f"u{number}"), member(name + "b", f"v{number}")))
                except Refused as error:
                    refused[error.why] += 1
                    continue
                finally:
                    slowest = max(slowest, time.monotonic() - began)
                told.append((time.monotonic(), name))
                turn += 1

        clients = [asyncio.create_task(client(number)) for number in range(8)]
        while len(told) < 200:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(mortal.kill)
        killed = time.monotonic()
        while not refused:
            await asyncio.sleep(0.01)
        assert sink.trouble is Why.BROKER
        go.clear()
        started = time.monotonic()
        mortal.start(wait=False)  # by this thread: it ends with the one that started it
        await asyncio.to_thread(mortal.wait_ready)
        while sink.trouble is not None:  # it finds out by itself
            await asyncio.sleep(0.01)
        go.set()
        before = len(told)
        while len(told) < before + 200:
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*clients)
        assert sink.trouble is None
        await sink.close()
        assert [name for at, name in told if killed + 0.3 < at < started] == []
        assert set(refused) == {Why.BROKER}
        assert slowest < 7.0
        found = read(topics, topic, 2)
        count = Counter(map(name_of, found))
        assert all(count[name] >= 1 and count[name + "b"] >= 1 for _, name in told)
        for number in range(8):
            firsts = list(dict.fromkeys(name_of(m) for m in found if m.key() == b"u%d" % number))
            turns = [int(name.partition("-")[2]) for name in firsts]
            assert turns == sorted(turns)

    load()


async def _why_refused(sink: KafkaSink, given: Batch) -> Why | None:
    try:
        await sink.keep(given)
    except Refused as refused:
        return refused.why
    return None


@in_loop
async def test_a_member_that_no_topic_takes_is_refused_for_good_and_costs_no_other_request(
    topics: Topics,
) -> None:
    topic = topics.create("collected", config={"max.message.bytes": "5000"})
    sink = opened(topics, topic, **{"compression.type": "none", "linger.ms": 50})
    for size in (6_000, 2_000_000):
        large = Member(b'"' + b"x" * size + b'"', "u1", None, None, ())
        assert await asyncio.gather(
            # The first two are in one set of the client's, which brokers judge as a whole.
            *(_why_refused(sink, one) for one in (batch(large), named(f"{size}"), named(f"{size}-more")))
        ) == [Why.TOO_LARGE, None, None]
    assert await sink.keep(batch(member("first"), large, member("last"))) == 0
    assert sink.trouble is None
    await sink.close()
    *whole, one, other, cut = sorted(read(topics, topic), key=lambda message: len(message.value() or b""))
    assert sorted(map(name_of, [*whole, one, other])) == sorted(
        ["6000", "6000-more", "2000000", "2000000-more", "first", "last"]
    )
    assert cut.value() == b'"' + b"x" * 999
    assert dict(cut.headers() or ())["hk-cut"] == b"2000002"


@in_loop
async def test_what_brokers_refuse_for_good_is_told_and_what_came_with_it_is_kept_once(
    topics: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    topic = topics.create("collected")
    sink = opened(topics, topic, **{"linger.ms": 50})
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)

    def policy(name: str) -> None:
        entry = ConfigEntry("cleanup.policy", name, incremental_operation=AlterConfigOpType.SET)
        resource.incremental_configs = [entry]
        topics.admin.incremental_alter_configs([resource])[resource].result(20)

    policy("compact,delete")
    given = batch(member("before"), member("keyless", None), member("after"))
    for _ in range(3):
        why, other = await asyncio.gather(_why_refused(sink, given), _why_refused(sink, named("other")))
        assert (why, other) == (Why.UNFIT, None)
    assert sink.trouble is None
    (told,) = [vars(record) for record in caplog.records if record.message == COLLECT_UNFIT.text]
    assert "failed to validate" in told["fields"]["reason"]
    policy("delete")
    while await _why_refused(sink, given) is not None:
        await asyncio.sleep(0.01)
    assert await sink.keep(given) == 3, "now they are known"
    await sink.close()
    assert sorted(map(name_of, read(topics, topic))) == ["after", "before", "keyless", "other"]


@in_loop
async def test_a_topic_that_is_deleted_is_not_made_anew_by_what_comes(topics: Topics) -> None:
    topic = topics.create("collected")
    sink = opened(topics, topic)
    assert await sink.keep(named("a")) == 0
    topics.admin.delete_topics([topic])[topic].result(20)
    assert await _why_refused(sink, named("b")) is Why.BROKER
    assert await _why_refused(sink, named("c")) is Why.BROKER
    assert topic not in topics.admin.list_topics(timeout=10).topics
    await sink.close()


def test_a_right_that_is_taken_away_is_told_once_and_found_again_without_requests(
    topics: Topics, secured: Security, caplog: pytest.LogCaptureFixture
) -> None:
    topic, told = topics.create("collected"), (COLLECT_REFUSING.text, COLLECT_KEEPING.text)
    permit(topics.admin, ("topic", topic, "READ"), ("topic", topic, "WRITE"))
    section = section_to(secured.address("SASL_SSL"), topic, secured.settings("SASL_SSL"))

    def said() -> list[str]:
        return [record.message for record in caplog.records if record.message in told]

    @in_loop
    async def load() -> None:
        first = KafkaSink(section)
        assert await first.keep(named("a")) == 0
        await first.close()
        ahead = [0.0]
        sink = KafkaSink(section, clock=lambda: time.monotonic() + ahead[0])
        assert await sink.keep(named("a")) == 1, "what was kept is read without a right to any group"
        caplog.set_level("INFO")
        forbid(topics.admin, topic, "WRITE")
        while await _why_refused(sink, named("b")) is None:
            await asyncio.sleep(0.01)
        asked: set[float] = set()
        while len(asked) < 4:
            ahead[0] += 0.05
            asked.add(sink._next_ask)
            assert sink.trouble is Why.BROKER
            await asyncio.sleep(0.01)
        assert await _why_refused(sink, named("c")) is Why.BROKER
        assert said() == [COLLECT_REFUSING.text]
        permit(topics.admin, ("topic", topic, "WRITE"))
        while sink.trouble is not None:
            ahead[0] += 0.05
            await asyncio.sleep(0.01)
        assert said() == list(told)
        await sink.close()

    load()


@in_loop
async def test_a_clock_that_was_hours_ahead_costs_what_came_then_and_nothing_later(topics: Topics) -> None:
    topic = topics.create("collected")
    sink = opened(topics, topic)
    now = time.time_ns() // 1_000_000
    ahead = batch(member("ahead"), received_ms=now + 7_200_000)
    assert await _why_refused(sink, ahead) is Why.BROKER, "brokers take no times of the future"
    for name, received_ms in (("now", now), ("a moment before", now - 500)):
        assert await _why_refused(sink, batch(member(name), received_ms=received_ms)) is None
    await sink.close()
    kept = [(name_of(message), message.timestamp()[1]) for message in read(topics, topic)]
    assert kept == [("now", now), ("a moment before", now)]


def test_what_cannot_be_used_is_said_at_once(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"topic `nowhere` at .* does not exist: create it"):
        opened(topics, "nowhere")
    for name in ("acks", "enable.idempotence", "group.id", "message.timeout.ms"):
        with pytest.raises(ConfigError, match=rf"collect\.to\.kafka\.settings: `{name}` is set by Hookline"):
            opened(topics, "nowhere", **{name: "1"})
    with pytest.raises(ConfigError, match=r"^collect\.to\.kafka\.settings: `linger\.ms`: Invalid value"):
        opened(topics, "nowhere", **{"linger.ms": "soon"})
    monkeypatch.setattr("pipeline.collect.sinks.kafka.CONNECT_SECS", 0.5)
    with pytest.raises(Fatal, match=r"127\.0\.0\.1"):
        KafkaSink(section_to(f"127.0.0.1:{free_port()}", "events"))


@in_loop
async def test_a_repeat_is_known_over_a_restart(topics: Topics) -> None:
    topic = topics.create("collected", 2)
    sink = opened(topics, topic)
    assert await sink.keep(named("a", "b", "c")) == 0
    await sink.close()
    again = opened(topics, topic)
    assert await again.keep(named("b", "d", "a")) == 2
    await again.close()
    forgetful = KafkaSink(section_to(topics.broker.address, topic, dedupe_secs=0.0))
    assert await forgetful.keep(named("a")) == 0
    await forgetful.close()
    found = read(topics, topic, 2)
    assert sorted(map(name_of, found)) == ["a", "a", "b", "c", "d"]
    assert all("hk-same" in dict(message.headers() or ()) for message in found)
