"""What a person sees on a terminal of 80 columns, and what Ctrl-C does to files and to pipes."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from tests.kit.programs.run import HOOKLINE, Bench, ended, started, until
from tests.kit.terminal import Terminal, terminal

COLUMNS = 80
LOGGED = re.compile(
    r"\d\d:\d\d:\d\d (info|warn|error) "
)  # a slow disk is warned of, in as many columns as it takes


@contextmanager
def watched(bench: Bench, *flags: object) -> Iterator[Terminal]:
    environment = {name: value for name, value in bench.environ.items() if name != "COLUMNS"}
    with terminal([*bench.command(*flags)[1:]], environment) as found:
        yield found


@pytest.fixture
def bench(folder: Path, receiver: Receiver) -> Bench:
    folder.mkdir()
    bench = Bench(folder)
    for name in ("w", "a-webhook-with-a-name-that-is-rather-long"):
        bench.webhook(name, receiver.url(f"/{name}"))
    bench.append(*({"id": f"e{n}", "user_id": f"u{n % 9}"} for n in range(3000)))
    return bench


@pytest.mark.parametrize("processes", [1, 2])
def test_progress_is_one_line_that_fits_and_ctrl_c_ends_with_the_summary(
    bench: Bench, receiver: Receiver, processes: int
):
    receiver.answer({"*": {"delay_secs": 0.02}})
    with watched(bench, "--follow", "--processes", processes) as shown:
        until(lambda: "3,000 records" in shown.said and "6,000 delivered" in shown.said)
        shown.process.send_signal(signal.SIGINT)
        assert shown.process.wait(20) == 0, shown.said
        until(lambda: "records/s" in shown.said.rsplit("this run", 1)[-1])
        statuses = [line for line in shown.lines() if " delivered" in line and "records  " in line]
        assert len(statuses) > 2
        assert [line for line in shown.lines() if len(line) > COLUMNS and not LOGGED.match(line)] == []
        assert not any("Traceback" in line for line in shown.lines())
        # One status at a time: none is followed by other text on its line.
        assert all(re.fullmatch(r"[\d%:,/s a-z]+", line) for line in statuses), statuses
        assert "3,000 records" in shown.said.rsplit("this run", 1)[-1]


@pytest.mark.parametrize(("how", "processes"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_a_stream_from_a_pipe_can_be_stopped_and_what_was_read_is_delivered(
    bench: Bench, receiver: Receiver, how: signal.Signals, processes: int
):
    words = ["run", "-c", bench.config, "--state", bench.state, "--source", "-", "--json"]
    with started(HOOKLINE, *words, "--processes", processes, env=bench.environ) as job:
        assert job.stdin is not None
        job.stdin.write(bench.stream.read_text())
        job.stdin.flush()  # and it stays open: nothing says that the stream has ended
        until(lambda: len(receiver.requests) > 100 or job.poll() is not None)
        job.send_signal(how)
        out, _ = ended(job, secs=20)
    counts = json.loads(out)["webhooks"]["w"]
    assert counts["matched"] == counts["delivered"] > 0
    assert len(receiver.requests) == 2 * counts["delivered"]
