"""What the tests of dying jobs share: the receiver, the stream and what must come out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.receivers.receiver import Arrivals
from tests.recovery.killing import WEBHOOKS, Outcome, Trial, answer, make_stream, new_trial, trial

EVENTS = 700


@pytest.fixture(scope="session")
def receiver() -> Iterator[Arrivals]:
    with Arrivals(answer) as found:
        yield found


@pytest.fixture(scope="session")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kills") / "stream.jsonl"
    make_stream(path, EVENTS)
    return path


@pytest.fixture(scope="session")
def undisturbed(receiver: Arrivals, stream: Path) -> Outcome:
    with trial(receiver) as one:
        one.prepare(stream)
        assert one.run() == 0, one.said()
        assert one.duplicates() == []
        one.check_order()
        outcome = one.outcome()
    numbers = outcome.counters
    for webhook in WEBHOOKS:
        assert numbers[f"{webhook}/pending"] == 0
        ended = [numbers[f"{webhook}/{end}"] for end in ("delivered", "dead", "suppressed")]
        assert numbers[f"{webhook}/matched"] == sum(ended) > 0
    assert numbers["records/read"] == EVENTS
    assert len(outcome.letters) > 50
    return outcome


@pytest.fixture
def one(receiver: Arrivals, stream: Path) -> Iterator[Trial]:
    with new_trial(receiver, stream) as found:
        yield found
