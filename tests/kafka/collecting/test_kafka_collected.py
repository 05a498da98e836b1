"""From an HTTP request over a topic to a webhook: `hookline up` with Kafka between its two processes."""

from __future__ import annotations

import http.client
from pathlib import Path

import orjson

from pipeline.receiver.server import Receiver
from tests.kafka.servers.topics import Topics
from tests.kit.programs.ports import free_port
from tests.kit.programs.run import HOOKLINE, ended, finished, started, until

PIPELINE = """
collect:
  listen: 127.0.0.1:%d
  keys: {server: {key: wk_server_0123456789}}
  to: {kafka: {brokers: "%s", topic: %s}}
state: %s
epoch: 200ms
network: {allow: [127.0.0.0/8]}
"""
WEBHOOK = """
id: purchase
trigger: {events: [Purchase]}
request:
  url: http://127.0.0.1:%d/hook
  body: {plan: "{{ user.properties.plan }}", number: "{{ event.properties.number }}"}
"""


def test_what_is_posted_comes_over_a_topic_to_its_webhook_and_bad_members_are_dead_letters(
    topics: Topics, tmp_path: Path
) -> None:
    config, port = tmp_path / "config", free_port()
    (config / "webhooks").mkdir(parents=True)
    topic = topics.create("collected", 2)
    (config / "pipeline.yaml").write_text(PIPELINE % (port, topics.broker.address, topic, tmp_path / "state"))

    def posted(path: str, body: bytes) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("POST", path, body, {"x-write-key": "wk_server_0123456789"})
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def purchase(number: int, more: bytes = b"") -> bytes:
        fixed = b'{"type":"track","event":"Purchase","userId":"u1","messageId":"m%d"' % number
        return fixed + b',"properties":{"number":%d}%b}' % (number, more)

    identify = b'{"type":"identify","userId":"u1","messageId":"i","traits":{"plan":"pro"}}'
    broken = [
        purchase(3, b',"n":NaN'),
        purchase(4, b',"x":"\xff"'),
        purchase(5, b',"x":"%b"' % (b"x" * (2 << 20))),
    ]
    with Receiver() as receiver:
        (config / "webhooks" / "purchase.yaml").write_text(WEBHOOK % receiver.port)
        with started(HOOKLINE, "up", "-c", config) as group:
            until(lambda: posted("/v1/identify", identify) == 200)
            batch = [purchase(1), *broken, purchase(2)]
            assert posted("/v1/batch", b'{"batch":[%b]}' % b",".join(batch)) == 200
            until(lambda: len(receiver.requests) >= 2)
            group.terminate()
            ended(group)
    bodies = sorted([orjson.loads(request.body) for request in receiver.requests], key=lambda b: b["number"])
    assert bodies == [{"plan": "pro", "number": 1}, {"plan": "pro", "number": 2}]
    said, _ = finished(HOOKLINE, "dlq", "list", "--webhook", "-", "--json", "-c", config)
    reasons = sorted(letter["reason"] for letter in orjson.loads(said))
    assert len(reasons) == 3
    assert "not JSON: NaN" in reasons[0]
    assert "not UTF-8" in reasons[1]
    assert "2,097," in reasons[2]
