"""Jobs that are killed before their first epoch is durable: the next start knows what has left, not more."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Job
from tests.kit.programs.run import Bench, more_than, until
from tests.sources.files.following.rotations import append, line


def test_a_file_that_was_truncated_between_two_kills_is_read_as_another_one(
    tmp_path: Path, receiver: Receiver
) -> None:
    bench = Bench(tmp_path, "{network: {allow: [127.0.0.0/8]}, epoch: 60s, shards: 2}")
    bench.webhook("w", receiver.url("/w"), "  body: '{{ event.id }}'\n")
    bench.stream.write_bytes(line(1))
    for number in (1, 2, 3):
        job = Job(bench)
        until(more_than(receiver, number - 1))
        job.kill()
        if number == 1:
            os.truncate(bench.stream, 0)
        append(bench.stream, line(number + 1))
    with Job(bench) as job:
        until(more_than(receiver, 3))
        job.stop()
    assert [json.loads(request.body) for request in receiver.requests] == ["1", "2", "3", "4"]
