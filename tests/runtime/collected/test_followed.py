"""A job follows a collector's folder while everything happens to it, and is killed again and again."""

from __future__ import annotations

import json
import random
import shutil
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline.outbox.reading.view import rows
from pipeline.receiver.received import Request
from pipeline.receiver.server import Receiver
from pipeline.store.rows import Table
from tests.kit.programs.jobs import Job, accounted
from tests.kit.programs.run import HOOKLINE, Bench, finished, more_than, until
from tests.kit.streams.collected import CollectorsFolder

USERS = 20
KILLS = 4


class Collector(threading.Thread):
    """Writes an update of a user and then an event that must see it; rotates, compresses, retires.

    A segment goes when the job has said that it has read it; it is kept aside for the replay.
    """

    def __init__(self, folder: CollectorsFolder, aside: Path, seed: int) -> None:
        super().__init__()
        self.folder, self.aside, self.dice = folder, aside, random.Random(seed)
        self.over = threading.Event()
        """Set: it ends."""
        self.events = 0
        self.retired = 0

    def run(self) -> None:
        while not self.over.is_set():
            n = self.events
            user = f"u{n % USERS}"
            self.folder.append(json.dumps({"type": "user", "user_id": user, "set": {"n": n}}).encode())
            self.folder.append(
                json.dumps(
                    {"type": "event", "name": "E", "id": f"e{n}", "user_id": user, "properties": {"n": n}}
                ).encode()
            )
            self.events += 1
            if n % 10 == 0:
                self.over.wait(0.01)  # the rate of the input
            if self.dice.random() < 0.02:
                self.folder.rotate(gap=self.dice.choice([0, 0, 0, 1 << 20]))
            if self.dice.random() < 0.02 and (closed := self.folder.closed()):
                first = self.dice.choice(closed)
                if self.folder.plain(first).exists():
                    self.folder.pack(first, keep_plain=self.dice.random() < 0.2)
            if self.dice.random() < 0.05:
                self.retire()
        self.folder.rotate()

    def retire(self) -> None:
        passed = min(self.folder.passed().values(), default=0)
        for first, end in pairwise([*self.folder.closed(), self.folder.lines]):
            if end <= passed:
                kept = self.folder.packed(first)
                kept = kept if kept.exists() else self.folder.plain(first)
                shutil.copy(kept, self.aside)
                self.folder.remove(first)
                self.retired += 1


@pytest.fixture
def bench(tmp_path: Path, receiver: Receiver) -> Bench:
    settings = (
        "{network: {allow: [127.0.0.0/8]}, epoch: 200ms, shards: 2, "
        "collect: {to: {recording: ../collected}, keys: any}}"
    )
    made = Bench(tmp_path, settings, is_collected=True)
    body = "  body: {n: '{{ event.properties.n }}', seen: '{{ user.properties.n }}'}\n"
    made.webhook("w", receiver.url("/w"), body)
    return made


def told(requests: list[Request]) -> dict[str, Any]:
    return {request.message_id: json.loads(request.body) for request in requests}


def test_every_line_is_read_once_whatever_happens_to_segments_and_job(
    bench: Bench, tmp_path: Path, receiver: Receiver
) -> None:
    dice = random.Random(7)
    aside = tmp_path / "aside"
    aside.mkdir()
    job = Job(bench)
    folder = tmp_path / "collected"
    until(folder.exists)  # the job makes it
    collector = Collector(CollectorsFolder(folder), aside, 3)
    collector.start()
    try:
        for _ in range(KILLS):
            until(more_than(receiver, len(receiver.requests) + dice.randrange(50, 300)))
            job.kill()
            job = Job(bench)
        until(lambda: collector.retired > 0)
        collector.over.set()
        collector.join()
        until(lambda: len(told(receiver.requests)) >= collector.events)
        until(lambda: accounted(bench)["w"]["pending"] == 0)
        job.stop()
    finally:
        collector.over.set()
        collector.join()
        job.kill()
    live = told(receiver.requests)
    assert sorted(body["n"] for body in live.values()) == list(range(collector.events))
    assert all(body["seen"] == body["n"] for body in live.values())
    assert accounted(bench)["w"]["matched"] == collector.events

    # P5: what is left and what went, together, once more.
    for path in aside.iterdir():
        shutil.copy(path, folder)
    receiver.requests.clear()
    finished(HOOKLINE, "replay", "-c", bench.config, "--state", tmp_path / "again", env=bench.environ)
    assert told(receiver.requests) == live
    assert len(list((folder / ".readers").glob("????????????????"))) == 1  # a replay says nothing there


def test_what_cannot_be_read_says_how_it_came_and_is_replayed_when_it_can(
    bench: Bench, tmp_path: Path, receiver: Receiver
) -> None:
    bench.write("w", f"trigger: {{events: [paid]}}\nrequest: {{url: '{receiver.url('/w')}'}}\n")
    folder = CollectorsFolder(tmp_path / "collected")
    key = ("hk-key", b"shop")
    bad = b'{"type":"paid","id":"2","who":"c"}'
    folder.append(bad, [("hk-protocol", b"hooks"), key, ("hk-format", b"till")])
    folder.append(b'{"event":"paid","userId":"u"}', [("hk-protocol", b"segment"), key, ("hk-type", b"track")])
    with Job(bench) as job:
        until(more_than(receiver, 0))
        until(lambda: bench.counts("w")["delivered"] == 1)
        until(folder.passed)
        job.stop()
    assert list(folder.passed().values()) == [2]
    assert (bench.state / "reader").read_text().strip() in folder.passed()
    (listed,) = bench.listed("dlq")
    assert "`hk-format` is 'till', and there is no such shape" in listed["reason"]
    shown = bench.hookline("dlq", "show", listed["id"])
    assert "hk-protocol: hooks\nhk-key: shop\nhk-format: till" in shown

    (bench.config / "shapes").mkdir()
    (bench.config / "shapes/till.yaml").write_text(
        "records: [{event: {name: type, id: id, user_id: who, context: {by: message.headers.hk-key}}}]\n"
    )
    assert "w: fires on paid" in bench.hookline("explain", "--dlq", listed["id"])
    exported = tmp_path / "dead.rec.jsonl"
    bench.hookline("dlq", "export", "--records", "-o", exported)
    would = bench.hookline("replay", exported, "--dry-run")
    (request,) = [json.loads(line) for line in would.splitlines() if line.startswith("{")]
    event = request["body"]["event"]
    assert (event["user_id"], event["context"]) == ("c", {"by": "shop"})


def test_who_was_identified_is_known_to_what_is_recorded_after(bench: Bench, tmp_path: Path) -> None:
    bench.write(
        "w",
        "trigger: {events: [Clicked]}\nrequest:\n  url: http://127.0.0.1:9/\n"
        "  body: {user: '{{ user.id }}', plan: '{{ user.properties.plan }}'}\n  missing: 'null'\n",
    )
    folder = CollectorsFolder(tmp_path / "collected")
    page = [("hk-protocol", b"segment"), ("hk-key", b"web")]
    click = b'{"type":"track","event":"Clicked","anonymousId":"a","timestamp":"2031-01-01T00:00:00Z"}'
    folder.append(click, page)
    folder.rotate()
    folder.append(
        b'{"anonymousId":"a","userId":"u","traits":{"plan":"pro"}}', [*page, ("hk-type", b"identify")]
    )
    folder.pack(folder.rotate())
    folder.append(click, [*page, ("hk-shift", b"-157766400000")])
    would = bench.hookline("replay", "--dry-run")
    bodies = [json.loads(line)["body"] for line in would.splitlines() if line.startswith("{")]
    assert bodies == [{"user": None, "plan": None}, {"user": "u", "plan": "pro"}]
    assert folder.passed() == {}


def test_lost_stores_are_made_anew_from_what_is_left_of_the_folder_up_to_where_the_job_was(
    bench: Bench, tmp_path: Path, receiver: Receiver
) -> None:
    folder = CollectorsFolder(tmp_path / "collected")

    def append(number: int) -> None:
        for value in (
            {"type": "user", "user_id": f"u{number % 3}", "set": {f"n{number}": number}},
            {"type": "event", "name": "E", "user_id": "u0", "properties": {"n": number}},
        ):
            folder.append(json.dumps(value).encode())

    def known() -> dict[str, list[int]]:
        found = rows(bench.state, Table.USERS)
        return {key.decode(): sorted(json.loads(value)[1].values()) for _, key, value in found}

    for number in range(40):
        append(number)
        if number in (9, 29):
            folder.rotate()
    with Job(bench) as job:
        until(more_than(receiver, 39))
        job.stop()
    folder.remove(0)  # it was read, and `keep` is over
    for number in range(40, 60):
        append(number)
    shutil.rmtree(bench.state / "shards")
    finished(HOOKLINE, "state", "rebuild", "-c", bench.config, "--state", bench.state, env=bench.environ)
    assert known() == {f"u:u{user}": [n for n in range(10, 40) if n % 3 == user] for user in range(3)}
    with Job(bench) as job:
        until(more_than(receiver, 59))
        job.stop()
    assert {n for held in known().values() for n in held} == set(range(10, 60))
