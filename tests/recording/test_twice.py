"""A recording that holds a message twice, through a whole job: sent once, counted, said."""

from __future__ import annotations

from pipeline.receiver.server import Receiver
from pipeline.sources.files.lines.recorded import Message, dump_line
from tests.kit.programs.run import Bench


def test_a_message_that_is_recorded_twice_is_sent_once_and_said(bench: Bench, receiver: Receiver) -> None:
    event = b'{"type":"event","name":"E","user_id":"u1","id":"e%d"}'
    lines = [dump_line(Message("events/0", at, 1000 + at, None, None, event % at)) for at in (1, 2, 1, 3, 2)]
    bench.stream.write_bytes(b"".join(lines))
    told = bench.refused(1)
    assert bench.stream.name in told
    assert "by its name (*.rec.jsonl" in told
    assert "`format: recording`" in told
    assert receiver.requests == []
    source = f"{{jsonl: {{paths: [{bench.stream}], format: recording}}}}"
    bench.settings = bench.settings.replace("{", "{source: " + source + ", ", 1)
    bench.webhook("w", receiver.url("/w"))
    summary = bench.run()
    assert summary["records"] | {"read": 3, "events": 3, "invalid": 0, "twice": 2} == summary["records"]
    assert summary["webhooks"]["w"] == {
        "matched": 3, "delivered": 3, "dead": 0, "pending": 0, "suppressed": 0,
    }  # fmt: skip
    assert len(receiver.requests) == 3
    assert "left out, since the recording holds them twice: 2 lines" in bench.hookline("status")
    # Once more on the same state: nothing new, nothing sent.
    assert bench.run()["records"]["twice"] == 2
    assert len(receiver.requests) == 3
