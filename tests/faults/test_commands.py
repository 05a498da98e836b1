"""Every command on a running job and on a stopped one: it does what it says, and the accounting adds up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.admin.socket_client import ask
from pipeline.model.errors import HooklineError
from pipeline.outbox.reading.view import dead_letters, owed
from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import BREAK, Job, accounted, ids, ready
from tests.kit.programs.run import Bench, until


@pytest.fixture
def bench(tmp_path: Path, receiver: Receiver) -> Bench:
    bench = Bench(tmp_path)
    for name in ("a", "b"):
        bench.webhook(name, receiver.url(f"/{name}"), "delivery: {retry: {min_delay: 10m, max_delay: 10m}}\n")
    return bench


def events(bench: Bench, *numbers: int) -> None:
    bench.append(*({"id": f"e{n}", "user_id": f"u{n}"} for n in numbers))


def become(bench: Bench, webhook: str, **wanted: int) -> None:
    """Wait until the accounting of a webhook is this; it must add up all the time."""

    def is_so() -> bool:
        counts = accounted(bench).get(webhook, {})
        return all(counts.get(name) == number for name, number in wanted.items())

    until(is_so)


def state_of(bench: Bench, webhook: str) -> str:
    rows = bench.hookline("webhook", "list", "--json")
    return next(str(row["state"]) for row in rows if row["id"] == webhook)


def test_commands_to_a_running_job(bench: Bench, receiver: Receiver, tmp_path: Path):
    receiver.answer({"/a": [400], "/b": [503]})
    events(bench, 1, 2, 3, 4)
    with Job(bench) as job:
        ready(bench, job)
        become(bench, "a", matched=4, dead=4)
        become(bench, "b", matched=4, pending=4)

        # dlq
        letters = bench.listed("dlq")
        assert [letter["webhook"] for letter in letters] == ["a"] * 4
        shown = bench.hookline("dlq", "show", letters[0]["id"], "--json")
        assert (shown["reason"], shown["status"], shown["attempts"]) == ("status-400", 400, 1)
        bench.hookline("dlq", "export", "-o", tmp_path / "dead.jsonl", "--webhook", "a")
        exported = [json.loads(line) for line in (tmp_path / "dead.jsonl").read_text().splitlines()]
        assert {row["id"] for row in exported} == {letter["id"] for letter in letters}
        receiver.answer({"/a": [200], "/b": [503]})
        bench.hookline("dlq", "replay", letters[0]["id"])
        become(bench, "a", matched=4, delivered=1, dead=3, pending=0)
        bench.hookline("dlq", "purge", letters[1]["id"])
        until(lambda: len(bench.listed("dlq")) == 2)
        become(bench, "a", matched=4, delivered=1, dead=3, pending=0)

        # outbox
        until(lambda: len(bench.listed("outbox")) == 4)
        bench.hookline("outbox", "drop", "--user", "u1")
        become(bench, "b", matched=4, dead=1, pending=3)
        receiver.answer({"*": [200]})
        bench.hookline("outbox", "retry-now", "--webhook", "b")
        become(bench, "b", matched=4, delivered=3, dead=1, pending=0)

        # webhook
        for halt, go_on, state in (("pause", "resume", "paused"), ("disable", "enable", "disabled")):
            before = accounted(bench)["a"]["delivered"]
            bench.hookline("webhook", halt, "a")
            assert state_of(bench, "a") == state
            events(bench, before + 10)
            become(bench, "a", delivered=before, pending=1)
            become(bench, "b", delivered=before + 3, pending=0)
            bench.hookline("webhook", go_on, "a")
            assert state_of(bench, "a") == "active"
            become(bench, "a", delivered=before + 1, pending=0)
        assert "there is no webhook `x`" in bench.hookline("webhook", "pause", "x", code=2)
        job.stop()
    accounted(bench)


def test_commands_left_for_a_stopped_job(bench: Bench, receiver: Receiver):
    receiver.answer({"/a": [400], "/b": [503]})
    events(bench, 1, 2, 3, 4)
    with Job(bench) as job:
        ready(bench, job)
        become(bench, "a", dead=4)
        become(bench, "b", pending=4)
        job.stop()
    receiver.answer({"*": [200]})
    before = accounted(bench)
    letters = bench.listed("dlq")
    bench.hookline("dlq", "replay", letters[0]["id"])
    bench.hookline("dlq", "replay", letters[0]["id"])
    bench.hookline("dlq", "purge", letters[1]["id"])
    bench.hookline("outbox", "drop", "--user", "u1", "--webhook", "b")
    bench.hookline("webhook", "pause", "b")
    assert accounted(bench) == before, "nothing happens until the next start"
    assert bench.hookline("dlq", "show", letters[1]["id"], "--json")["id"] == letters[1]["id"]
    with Job(bench) as job:
        ready(bench, job)
        become(bench, "a", matched=4, delivered=1, dead=3, pending=0)
        become(bench, "b", matched=4, delivered=0, dead=1, pending=3)
        assert len(bench.listed("dlq")) == 3
        job.kill()
    with Job(bench) as job:
        ready(bench, job)
        # What was left is not done twice, also where the job died after it.
        become(bench, "a", matched=4, delivered=1, dead=3, pending=0)
        become(bench, "b", matched=4, delivered=0, dead=1, pending=3)
        bench.hookline("webhook", "resume", "b")
        bench.hookline("outbox", "retry-now", "--webhook", "b")
        become(bench, "b", matched=4, delivered=3, dead=1, pending=0)
        job.stop()
    again = ids(request for request in receiver.requests if request.path == "/a")
    assert sorted(again.values()) == [1, 1, 1, 2]


def test_what_was_given_up_stays_given_up_whatever_happens_next(bench: Bench, receiver: Receiver):
    receiver.answer({"*": [200]})
    with Job(bench) as job:
        ready(bench, job)
        bench.hookline("webhook", "pause", "a")
        events(bench, *range(20))
        become(bench, "a", matched=20, pending=20)
        keys = [one.row.hex() for one in owed(bench.state, "a")]
        assert ask(bench.state, "outbox-drop", keys=keys) == [20]
        assert list(owed(bench.state, "a")) == []
        job.kill()
    assert accounted(bench)["a"] == {"matched": 20, "delivered": 0, "dead": 20, "pending": 0, "suppressed": 0}


def test_410_disables_a_webhook_over_restarts_until_its_file_changes(bench: Bench, receiver: Receiver):
    receiver.answer({"/a": [410], "*": [200]})
    events(bench, 1)
    with Job(bench) as job:
        ready(bench, job)
        until(lambda: state_of(bench, "a") == "gone")
        events(bench, 2, 3)
        become(bench, "a", matched=3, pending=3, dead=0)
        become(bench, "b", matched=3, delivered=3)
        job.kill()
    sent = len(receiver.requests)
    receiver.answer({"*": [200]})
    with Job(bench) as job:
        ready(bench, job)
        events(bench, 4)
        become(bench, "b", delivered=4)
        become(bench, "a", matched=4, pending=4)
        assert len(receiver.requests) == sent + 1, "nothing was sent to the one that is gone"
        bench.webhook("a", receiver.url("/a/new"), "description: moved\n")
        become(bench, "a", matched=4, delivered=4, pending=0)
        assert state_of(bench, "a") == "active"
        receiver.answer({"/a/new": [410], "*": [200]})
        events(bench, 5)
        until(lambda: state_of(bench, "a") == "gone")
        job.stop()
    receiver.answer({"*": [200]})
    bench.hookline("webhook", "enable", "a")
    with Job(bench) as job:
        become(bench, "a", matched=5, delivered=5, pending=0)
        job.stop()


def test_replays_beside_kills_are_done_or_not_but_never_half(bench: Bench, receiver: Receiver):
    receiver.answer({"/a": [400], "*": [200]})
    events(bench, *range(60))
    with Job(bench) as job:
        ready(bench, job)
        become(bench, "a", dead=60)
        job.kill()
    receiver.answer({"*": [200]})
    for _ in range(3):
        with Job(bench) as job:
            ready(bench, job)
            chosen = [letter["id"] for letter in bench.listed("dlq")][:15]
            assert chosen
            bench.hookline("dlq", "replay", *chosen)
            # Whatever of it is done by now: it is one of dead, owed, delivered.
            job.kill()
        assert accounted(bench)["a"]["matched"] == 60
        letters = bench.hookline("dlq", "list", "--json", "--limit", 100)
        assert accounted(bench)["a"]["dead"] == len(letters)
    with Job(bench) as job:
        ready(bench, job)
        until(lambda: delivered_by_replays(bench, 60))
        become(bench, "a", matched=60, delivered=60, dead=0, pending=0)
        job.stop()
    tries = ids(request for request in receiver.requests if request.path == "/a")
    assert len(tries) == 60
    assert max(tries.values()) <= 2 + 3, "once refused, once delivered, and at most once more for each kill"


def delivered_by_replays(bench: Bench, count: int) -> bool:
    """Replay what is dead, until all is delivered: a letter may be dead again by the undo of a killed job."""
    bench.hookline("dlq", "replay", "--all", code=None)
    return accounted(bench)["a"]["delivered"] == count


BAD_KEYS: list[Any] = [[""], ["zz"], ["00" * 401], [5], 7, None, [None], ["00", ""], {"a": "b"}, [["00"]]]
"""What no row can be called by."""


def test_a_command_that_cannot_be_done_is_answered_and_nothing_more(bench: Bench, receiver: Receiver):
    receiver.answer({"/a": [400], "/b": [200]})
    events(bench, 1)
    # Its row cannot be read: the command itself raises, in the shard.
    raising = "pipeline.job.commands:unpack_dead"
    with Job(bench, before={BREAK: raising}) as job:
        ready(bench, job)
        become(bench, "a", matched=1, dead=1)
        for command in ("dlq-purge", "dlq-replay", "outbox-drop"):
            for keys in BAD_KEYS:
                with pytest.raises(HooklineError):
                    ask(bench.state, command, keys=keys)
            with pytest.raises(HooklineError):
                ask(bench.state, command)
        (row,) = [letter.key for _, letter in dead_letters(bench.state)]
        for command in ("dlq-purge", "dlq-replay"):
            with pytest.raises(HooklineError, match=r"the command failed: .+it is broken"):
                ask(bench.state, command, keys=[row.hex()])
        events(bench, 2)
        become(bench, "a", matched=2, dead=2)
        become(bench, "b", matched=2, delivered=2)
        job.stop()


def test_a_job_that_begins_says_at_once_what_was_counted_before(bench: Bench, receiver: Receiver):
    events(bench, 1, 2)
    with Job(bench, follow=False) as job:
        job.ended()
    bench.settings = "{network: {allow: [127.0.0.0/8]}, epoch: 10m, shards: 2}"  # its first commit is far
    (bench.config / "pipeline.yaml").write_text(bench.settings)
    with Job(bench) as job:
        ready(bench, job)
        until(lambda: {one["delivered"] for one in ask(bench.state, "status")[0]["webhooks"].values()} == {2})
