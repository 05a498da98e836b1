"""Settings that are passed through to librdkafka; no broker is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from pipeline.kafka.client import OWN, KafkaSettings, wait_ms
from pipeline.kafka.passed import CONSUMER, PRODUCER, all_wrong, made
from pipeline.model.errors import ConfigError
from pipeline.model.findings import in_order
from pipeline.operate.check import check
from pipeline.outbox.copies.kafka_copies import KafkaCopies
from pipeline.sources.topics.kafka_source import KafkaSource

WRONG: dict[str, Any] = {
    "sasl.mecanism": "PLAIN",
    "linger.ms": "soon",
    "security.protocol": "SASL_SLL",
    "group.id": "x",
    "fetch.min.bytes": -4,
    "ssl.key.location": "/nowhere/key.pem",
    "socket.timeout.ms": None,
    "stats_cb": 3,
    "plugin.library.paths": "evil",
    "internal.termination.signal": 9,
    "test.mock.num.brokers": 1,
    "client.id": "fine",
}
TOLD = {
    "sasl.mecanism": "`sasl.mecanism` is no setting of librdkafka (did you mean `sasl.mechanism`?)",
    "linger.ms": '`linger.ms`: Invalid value for configuration property "queue.buffering.max.ms"',
    "security.protocol": 'Invalid value "SASL_SLL" for configuration property "security.protocol"',
    "group.id": "`group.id` is set by Hookline and cannot be changed (remove it)",
    "fetch.min.bytes": 'Configuration property "fetch.min.bytes" value -4 is outside allowed range 0..'
    "2147483647",
    "ssl.key.location": "`ssl.key.location`: there is no file `/nowhere/key.pem`",
    "socket.timeout.ms": 'Integer configuration property "socket.timeout.ms" cannot be set to empty value',
    "stats_cb": "`stats_cb` is set by Hookline and cannot be changed (remove it)",
    "plugin.library.paths": "`plugin.library.paths` would load code, which no config may (remove it)",
    "internal.termination.signal": "`internal.termination.signal` is for librdkafka's own tests (remove it)",
    "test.mock.num.brokers": "`test.mock.num.brokers` is for librdkafka's own tests (remove it)",
}


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert {one.name: str(one) for one in all_wrong(CONSUMER, WRONG, OWN)} == TOLD
    with pytest.raises(ConfigError) as refused:
        KafkaSource(KafkaSettings("127.0.0.1:1", events=("e",), settings=WRONG))
    assert str(refused.value).startswith("source.kafka.settings: ")
    assert all(told in str(refused.value) for told in TOLD.values())


def test_what_is_wrong_only_together_is_said_where_each_is_good() -> None:
    settings = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
    told = "sasl.username and sasl.password must be set"
    assert [tuple(one) for one in all_wrong(PRODUCER, settings, OWN)] == [("", told, "")]
    assert all_wrong(PRODUCER, settings | {"sasl.username": "a", "sasl.password": "b"}, OWN) == []
    mistyped = settings | {"sasl.username": "a", "sasl.pasword": "b"}
    assert [one.name for one in all_wrong(PRODUCER, mistyped, OWN)] == ["sasl.pasword"]


def test_what_ours_and_theirs_are_only_together_is_said_too() -> None:
    theirs = {"max.in.flight": 9}
    assert all_wrong(PRODUCER, theirs, OWN) == []
    with pytest.raises(ConfigError, match=r"^here: .*max\.in\.flight"):
        made(Producer, {**theirs, "enable.idempotence": True}, theirs, OWN, "here")


@pytest.mark.parametrize("name", ["acks", "request.required.acks", "enable.idempotence", "bootstrap.servers"])
def test_copies_of_dead_letters_keep_what_their_promise_rests_on(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^dead_letters\.kafka\.settings: `{name}` is set by Hookline"):
        KafkaCopies("127.0.0.1:1", "letters", {name: "0"}, connect_secs=0.1)


def test_check_says_all_of_it_at_its_places(tmp_path: Path) -> None:
    pipeline = """\
source:
  kafka:
    brokers: b1
    events: [e]
    settings:
      sasl.mecanism: PLAIN
      auto.commit.enable: true
dead_letters:
  kafka:
    topic: d
    settings: {acks: 0}
collect:
  keys: any
  to:
    kafka:
      brokers: b1
      topic: t
      settings: {security.protocol: sasl_ssl, sasl.mechanism: PLAIN}
"""
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "pipeline.yaml").write_text(pipeline)
    found = [one for one in in_order(check(tmp_path).findings) if one.code == "kafka-settings"]
    assert [(one.line, one.message.partition(" ")[0], one.hint) for one in found] == [
        (6, "`sasl.mecanism`", "did you mean `sasl.mechanism`?"),
        (7, "`auto.commit.enable`", "remove it"),
        (11, "`acks`", "remove it"),
        (18, "sasl.username", None),
    ]


def test_the_more_partitions_are_read_the_longer_brokers_hold_an_empty_fetch() -> None:
    assert [wait_ms(number, is_alone=False) for number in (2, 20, 128, 1_000)] == [10, 10, 64, 100]
    assert [wait_ms(number, is_alone=True) for number in (1, 20, 64, 1_000)] == [100, 100, 320, 500]
