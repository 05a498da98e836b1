"""The tests of kills can fail: with one part of the protocol switched off, what they check is not so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.receivers.receiver import Arrivals
from tests.recovery.failing import KILLED
from tests.recovery.killing import SOME_SHARDS_AHEAD, Kill, Outcome, check, new_trial, trial

TRIES = 6

DIE_WITH_RESULTS: Kill = ("pipeline.outbox.handover:Port.post", "after", 8)


@pytest.mark.parametrize(
    ("off", "kill"), [("undo", SOME_SHARDS_AHEAD), ("journal", DIE_WITH_RESULTS)], ids=["undo", "journal"]
)
def test_without_a_part_of_the_protocol_a_kill_changes_something(
    receiver: Arrivals, stream: Path, undisturbed: Outcome, off: str, kill: Kill
) -> None:
    def is_red() -> bool:
        with new_trial(receiver, stream) as one:
            one.run(kill, off=[off])
            one.run(off=[off])
            try:
                check(one, undisturbed)
            except AssertionError:
                return True
        return False

    assert any(is_red() for _ in range(TRIES))


@pytest.mark.parametrize("hello", [True, False])
def test_what_is_owed_is_sent_without_any_input_because_of_the_hello(
    receiver: Arrivals, stream: Path, hello: bool
) -> None:
    with trial(receiver) as one:
        one.prepare(stream, webhooks=["plain"])
        receiver.begin(lambda path, attempt, body: "hang")  # no answer at all: everything stays owed
        since = receiver.accepted
        one.start(("durable", "", 12))
        assert one.wait(since) == KILLED, one.said()
        before = one.outcome().counters
        assert before["records/read"] == len(stream.read_bytes().splitlines()), "all input is behind it"
        assert before["plain/pending"] == before["plain/matched"] > 100
        receiver.begin(lambda path, attempt, body: 200)
        assert one.run(off=[] if hello else ["hello"]) == 0, one.said()
        after = one.outcome().counters
        owed = before["plain/pending"]
        assert after["plain/pending"] == (0 if hello else owed)
        assert len({arrival.id for arrival in receiver.arrivals}) == (owed if hello else 0)
