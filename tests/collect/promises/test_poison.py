"""C4: a poisoned member costs that member."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.receiver.server import Receiver
from tests.kit.collector import Collector
from tests.kit.programs.run import HOOKLINE, Bench, started, until

JOB = "network: {allow: [127.0.0.0/8]}\nepoch: 200ms\nshards: 2"
POISONS = [
    '{"type":"track","event":"E","userId":"u","messageId":"nan","properties":{"a":NaN}}',
    '{"type":"track","event":"E","userId":"u","messageId":"inf","properties":{"a":1e400}}',
    '{"type":"track","event":"E","userId":"u","messageId":"big","properties":{"a":12345678901234567890123456}}',
    '{"type":"track","event":"E","userId":"u","messageId":"cut","properties":{"a":"\\ud800"}}',
    '"not an object"',
]


def test_of_a_hundred_calls_with_five_poisons_ninety_five_fire_and_five_are_dead_letters(tmp_path: Path):
    call = {"type": "track", "event": "E", "userId": "u", "properties": {"a": 1}}
    ids = [f"g{n:02}" for n in range(95)]
    good = [json.dumps({**call, "messageId": id}) for id in ids]
    calls = [*good[:10], POISONS[0], *good[10:50], *POISONS[1:4], *good[50:], POISONS[4]]
    body = b'{"batch":[' + ",".join(calls).encode() + b'],"sentAt":NaN}'
    with Receiver() as receiver:
        bench = Bench(tmp_path)
        collector = Collector(tmp_path, job=JOB)
        bench.settings = JOB
        bench.webhook("w", receiver.url("/w"), '  body: {id: "{{ event.id }}"}\n', events="[E]")
        with collector, started(HOOKLINE, "run", "-c", bench.config, "--state", bench.state):
            headers = {"authorization": "Basic d2tfc2VydmVyOg=="}
            status, _, said = collector.ask("POST", "/v1/batch", body, headers)
            assert (status, json.loads(said)) == (200, {"success": True})
            assert len(collector.lines()) == 100
            until(lambda: len(receiver.requests) >= 95)
            dead = until(lambda: len(found := bench.listed("dlq")) >= 5 and found)
        assert sorted(json.loads(one.body)["id"] for one in receiver.requests) == ids
        assert len(dead) == 5
        reasons = " ".join(row["reason"] for row in dead)
        for word in ("NaN", "infinity", "12345678901234567890123456", "surrogate", "expected an object"):
            assert word in reasons, reasons
