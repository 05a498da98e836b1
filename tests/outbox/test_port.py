"""The port: what two threads pass each other is passed once, journalled first, and hidden until committed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.outbox.handover import Outcome, Port, Result
from pipeline.outbox.journal import Journal, read_journal
from tests.kit.streams.records import NOW_MS, delivery


@pytest.fixture(autouse=True)
def _threads_switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(before)


def port(folder: Path) -> Port:
    return Port(0, Journal(folder, 0), lambda *_: ([], None))


def test_every_result_is_taken_once_and_stands_in_the_journal_of_the_commit_it_went_into(
    tmp_path: Path,
) -> None:
    meeting = port(tmp_path)
    posted = 20_000

    def post() -> None:
        for n in range(posted):
            meeting.post([Result(delivery("w", n), Outcome.DELIVERED)], NOW_MS)

    engine = threading.Thread(target=post)
    engine.start()
    taken: list[tuple[int, bytes]] = []
    generation = 0
    while engine.is_alive() or not taken or len(taken) < posted:
        generation += 1
        # What is taken now stands in the generation that ended with this call.
        taken += [(generation - 1, result.delivery.request.key) for result in meeting.take(generation)]
    engine.join()
    assert len(taken) == posted == len({key for _, key in taken})
    written = {
        int(path.stem): {one.key for one in read_one(path, tmp_path)} for path in tmp_path.glob("*.journal")
    }
    expected: dict[int, set[bytes]] = {}
    for number, key in taken:
        expected.setdefault(number, set()).add(key)
    assert written == expected


def read_one(path: Path, folder: Path) -> list:
    alone = folder / f"only-{path.stem}"
    alone.mkdir()
    (alone / path.name).write_bytes(path.read_bytes())
    return read_journal(alone, int(path.stem))


def test_results_are_journalled_before_they_can_be_taken(tmp_path: Path) -> None:
    seen: list[int] = []

    class Watched(Journal):
        def append(self, results: list[Result], now_ms: int) -> None:
            seen.append(len(meeting._results))
            super().append(results, now_ms)

    meeting = Port(0, Watched(tmp_path, 0), lambda *_: ([], None))
    meeting.post([Result(delivery("w", 1), Outcome.DELIVERED)], NOW_MS)
    assert seen == [0]
    assert len(meeting.take(1)) == 1


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.DEAD, Outcome.PARKED])
def test_a_row_with_a_final_result_is_hidden_until_the_result_is_committed(
    tmp_path: Path, outcome: Outcome, stored: bool
) -> None:
    # Not stored: its result comes while the worker is writing the rows of what had none.
    meeting = port(tmp_path)
    made = delivery("w", 1)
    made.stored = stored
    meeting.post([Result(made, outcome)], NOW_MS)
    assert meeting.settling == {made.row}
    meeting.take(1)
    assert meeting.settling == {made.row}
    meeting.settled([made.row])
    assert meeting.settling == set()


def test_a_retry_stays_readable(tmp_path: Path) -> None:
    meeting = port(tmp_path)
    meeting.post([Result(delivery("w", 1), Outcome.RETRY)], NOW_MS)
    assert meeting.settling == set()


def test_an_idle_epoch_does_not_begin_a_generation(tmp_path: Path) -> None:
    meeting = port(tmp_path)
    assert meeting.take(1, always=False) == []
    meeting.post([Result(delivery("w", 1), Outcome.DELIVERED)], NOW_MS)
    assert [path.name for path in tmp_path.iterdir()] == ["000000000000.journal"]
    assert len(meeting.take(1, always=False)) == 1
    meeting.post([Result(delivery("w", 2), Outcome.DELIVERED)], NOW_MS)
    assert len(list(tmp_path.iterdir())) == 2
