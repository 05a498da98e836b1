"""Ctrl-C in every verb that can wait, on a terminal: it ends, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Job, ready
from tests.kit.programs.run import Bench, until
from tests.kit.streams.samples import ROOT
from tests.kit.terminal import Terminal, ends, family, gone, terminal

CLOSED = "127.0.0.1:1"
INTERRUPTED = 130
HALF = (".partial", ".tmp", ".part")
"""What the names of files end with that are not whole yet."""


class Place:
    """A config, a stream, a job that runs on a state directory of its own, a server that never answers."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.folder = folder
        self.bench = Bench(folder)
        self.bench.webhook("w", receiver.url("/w"))
        self.bench.append(*({"id": f"e{n}", "user_id": f"u{n}"} for n in range(50)))
        self.fifo = folder / "fifo.jsonl"
        os.mkfifo(self.fifo)
        self.kafka = Bench(
            folder / "kafka", f"source: {{kafka: {{brokers: '{CLOSED}', events: [events]}}}}\n"
        )
        self.kafka.webhook("w", "https://w.test/")
        self.up = Bench(
            folder / "up",
            "{network: {allow: [127.0.0.0/8]}, console: {listen: '127.0.0.1:0'}, "
            "collect: {listen: '127.0.0.1:0', keys: any, to: {recording: ../kept}}}",
            is_collected=True,
        )
        self.up.webhook("w", receiver.url("/w"))
        self.silent = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.silent.getsockname()[1]}"
        (folder / "token").write_text("t")

    def words(self, text: str) -> list[object]:
        """Return a command line: its names in braces stand for files and folders of this place."""
        names = {
            "config": self.bench.config, "state": self.folder / "other", "live": self.bench.state,
            "kafka": self.kafka.config, "up": self.up.config, "fifo": self.fifo, "out": self.folder / "out",
            "stream": self.bench.stream, "url": self.url, "token": self.folder / "token",
            "closed": CLOSED,
        }  # fmt: skip
        return [word.format(**names) for word in text.split()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Receiver({"*": [200]}) as receiver:
        place = Place(tmp_path_factory.mktemp("place"), receiver)
        with place.silent, Job(place.bench) as job:
            ready(place.bench, job)
            yield place


SHOP = ROOT / "recordings" / "shop.jsonl.gz"
RUN = "-c {config} --state {state}"
WAITING: dict[str, tuple[str, str, int]] = {
    # name: the command line, what it says when it has begun ("": it waits in silence), the exit code
    "run": (f"run {RUN} --source {{stream}} --follow", "50 records", 0),
    "run, of two processes": (f"run {RUN}2 --source {{stream}} --follow --processes 2", "50 records", 0),
    "run, no brokers": ("run -c {kafka} --state {state}3", "Kafka is unreachable", 0),
    "run, a pipe without a writer": (f"run {RUN}4 --source {{fifo}} --follow", "", 0),
    "collect": ("collect -c {up}", "listening", 0),
    "up": ("up -c {up} --state {state}6", "login#token", 0),
    "demo": ("demo --folder {out}/demo", "A receiver listens", INTERRUPTED),
    "demo --console": ("demo --console --folder {out}/demo2 --listen 127.0.0.1:0", "login#token", 0),
    "console": ("console -c {config} --state {live} --listen 127.0.0.1:0", "login#token", 0),
    "replay": (f"replay {SHOP} {RUN}7 --speed 0.001x", "replaying with", 0),
    "record": ("record -c {config} --source {fifo} --out {out}/rec", "", 0),
    "record, no brokers": ("record -c {kafka} --out {out}/rec2", "Kafka is unreachable", 0),
    "produce": ("produce {stream} --brokers {closed}", "Kafka is unreachable", 0),
    "produce --generate": ("produce --generate --brokers {closed}", "Kafka is unreachable", 0),
    "receiver": ("receiver --listen 127.0.0.1:0", "listening", 0),
    "tap": ("tap -c {config} --state {live}", "listening to", 0),
    "tap, no answer": ("tap --url {url} --token-file {token}", "", 0),
    "top": ("top -c {config} --state {live}", "w ", 0),
    "top, no answer": ("top --url {url} --token-file {token}", "", INTERRUPTED),
    "sniff": ("sniff {fifo}", "", INTERRUPTED),
    "sniff, typed": ("sniff -", "", INTERRUPTED),
    "sniff, no brokers": ("sniff --topic t --brokers {closed}", "", INTERRUPTED),
    "check": ("check -c {config} --sample {fifo}", "", INTERRUPTED),
    "explain": ("explain -c {config} --event -", "", INTERRUPTED),
    "send": ("send -c {config} --webhook w --event -", "", INTERRUPTED),
    "diff": ("diff {config} {config} --stream {fifo}", "", INTERRUPTED),
}


def begun(shown: Terminal, sign: str) -> bool:
    assert shown.process.poll() is None, shown.said
    return sign in shown.said if sign else shown.waits()


@pytest.mark.parametrize("verb", WAITING)
def test_ctrl_c_ends_a_verb_and_leaves_nothing_behind(place: Place, verb: str) -> None:
    line, sign, code = WAITING[verb]
    with terminal(place.words(line), place.bench.environ) as shown:
        until(lambda: begun(shown, sign))
        found = ends(shown)
        print(shown.said)
        assert (found, shown.faults()) == (code, []), shown.said
    assert [path for path in place.folder.rglob("*") if path.name.endswith(HALF)] == []


@pytest.mark.parametrize("verb", ["run", "run, of two processes", "collect", "console"])
def test_a_terminal_that_is_closed_is_a_stop(place: Place, verb: str) -> None:
    line, sign, code = WAITING[verb]
    words = place.words(line.replace("--state {state}", "--state {state}-closed"))
    with terminal(words, place.bench.environ) as shown:
        until(lambda: begun(shown, sign))
        started = family(shown.process.pid)
        for _ in range(2):  # the shell and the system both send it
            os.killpg(shown.process.pid, signal.SIGHUP)
        assert (shown.process.wait(20), shown.faults()) == (code, []), shown.said
        until(lambda: gone(started))


@pytest.mark.parametrize("verb", ["run", "console"])
def test_a_second_ctrl_c_ends_a_verb_at_once(place: Place, verb: str) -> None:
    line, sign, code = WAITING[verb]
    with terminal(
        place.words(line.replace("--state {state}", "--state {state}-twice")), place.bench.environ
    ) as shown:
        until(lambda: begun(shown, sign))
        assert ends(shown, presses=2) in (code, INTERRUPTED), shown.said
        assert shown.faults() == [], shown.said
