"""The journal: torn tails, generations, and one order of results after an undo."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.outbox.codec import Finished, pack_result, unpack_result
from pipeline.outbox.handover import Outcome, Progress, Result
from pipeline.outbox.journal import Journal, read_journal
from tests.kit.streams.records import NOW_MS, delivery


def packed(of: Result) -> bytes:
    delivery = of.delivery
    return pack_result(delivery.request.key, delivery.row, of.outcome, of.reason, delivery.progress)


def result(offset: int, outcome: Outcome = Outcome.DELIVERED, attempt: int = 1, reason: str = "") -> Result:
    made = delivery("w", offset)
    made.progress = Progress(attempt=attempt, status=500 + offset, due_ms=7 * offset, excerpt=f"é{offset}")
    return Result(made, outcome, reason)


def write(folder: Path, generation: int, *results: Result) -> Path:
    journal = Journal(folder, generation)
    journal.append(list(results), NOW_MS)
    journal.close()
    return folder / f"{generation:012d}.journal"


def offsets(found: list[Finished]) -> list[int]:
    return [one.progress.status - 500 for one in found]


def open_files() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # that of the listing itself is closed by now
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.RETRY, Outcome.DEAD])
def test_a_result_comes_back_as_it_was_written(outcome: Outcome) -> None:
    given = result(3, outcome, attempt=9, reason="status-503")
    found = unpack_result(packed(given))
    d = given.delivery
    excerpt = "" if outcome is Outcome.DELIVERED else d.progress.excerpt
    progress = Progress(attempt=9, status=503, due_ms=21, excerpt=excerpt)
    assert found == Finished(d.request.key, d.row, outcome, "status-503", progress)


def test_an_ordered_result_keeps_its_row() -> None:
    given = result(3)
    given.delivery.row = b"w\0user\0" + b"\0" * 8
    assert unpack_result(packed(given)).row == given.delivery.row


def test_a_torn_tail_is_ignored_at_every_byte_and_later_entries_are_readable(tmp_path: Path) -> None:
    path = write(tmp_path, 0, result(1), result(2), result(3))
    whole = path.read_bytes()
    lengths = [len(packed(result(n))) + 8 for n in (1, 2, 3)]
    ends = [sum(lengths[: n + 1]) for n in range(3)]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        expected = [n + 1 for n in range(3) if ends[n] <= size]
        assert offsets(read_journal(tmp_path, 0)) == expected, size
        write(tmp_path, 0, result(9))
        assert offsets(read_journal(tmp_path, 0)) == [*expected, 9], size


def test_a_flipped_bit_costs_the_tail_and_nothing_before_it(tmp_path: Path) -> None:
    path = write(tmp_path, 0, result(1), result(2))
    whole = path.read_bytes()
    first = len(packed(result(1))) + 8
    for at in range(first, len(whole)):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 0x10,)) + whole[at + 1 :])
        assert offsets(read_journal(tmp_path, 0)) == [1], at


def test_a_tail_of_zeros_is_torn(tmp_path: Path) -> None:
    path = write(tmp_path, 0, result(1))
    path.write_bytes(path.read_bytes() + b"\0" * 4096)
    assert offsets(read_journal(tmp_path, 0)) == [1]
    assert path.stat().st_size < 4096


def test_the_last_result_of_a_delivery_counts(tmp_path: Path) -> None:
    write(tmp_path, 4, result(1, Outcome.RETRY, 1), result(2), result(1, Outcome.RETRY, 2))
    write(tmp_path, 5, result(1, Outcome.DEAD, 3))
    found = {one.key: one for one in read_journal(tmp_path, 4)}
    assert found[result(1).delivery.request.key].outcome is Outcome.DEAD
    assert found[result(1).delivery.request.key].progress.attempt == 3
    assert len(found) == 2


def test_files_of_earlier_generations_do_not_stay_open(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    for generation in range(1, 4):
        journal.append([result(generation)], NOW_MS)
        journal.append([result(generation)], NOW_MS)
        journal.switch(generation)
    journal.append([result(9)], NOW_MS)
    mine = [path for path in open_files() if path.startswith(str(tmp_path))]
    assert mine == [str(tmp_path / "000000000003.journal")]
    journal.close()


def test_earlier_generations_are_deleted_when_read(tmp_path: Path) -> None:
    write(tmp_path, 3, result(1))
    write(tmp_path, 4, result(2))
    assert offsets(read_journal(tmp_path, 4)) == [2]
    assert names(tmp_path) == ["000000000004.journal"]


def test_results_after_an_undo_are_newer_than_those_of_the_undone_epoch(tmp_path: Path) -> None:
    write(tmp_path, 4, result(1, Outcome.RETRY, 1))
    write(tmp_path, 5, result(1, Outcome.RETRY, 2))
    assert [one.progress.attempt for one in read_journal(tmp_path, 4)] == [2]
    write(tmp_path, 4, result(1, Outcome.DELIVERED, 3))
    assert [one.outcome for one in read_journal(tmp_path, 4)] == [Outcome.DELIVERED]
    assert names(tmp_path) == ["000000000004.journal"]


def test_an_undone_generation_is_not_taken_for_that_of_the_repeated_epoch(tmp_path: Path) -> None:
    write(tmp_path, 5, result(1))
    read_journal(tmp_path, 4)
    assert read_journal(tmp_path, 5) == []


def test_a_kill_while_generations_are_joined_loses_and_reorders_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 4, result(1, Outcome.RETRY, 1), result(2))
    write(tmp_path, 5, result(1, Outcome.DEAD, 2), result(3))
    write(tmp_path, 6, result(4))

    class Killed(Exception):
        pass

    def killed(*_: object) -> None:
        raise Killed

    for name in ("fsync",):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, killed)
            with pytest.raises(Killed):
                read_journal(tmp_path, 4)
    for name in ("replace", "unlink"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, killed)
            with pytest.raises(Killed):
                read_journal(tmp_path, 4)
    found = {one.key: one.outcome for one in read_journal(tmp_path, 4)}
    keys = {n: result(n).delivery.request.key for n in range(5)}
    assert found == {
        keys[1]: Outcome.DEAD,
        keys[2]: Outcome.DELIVERED,
        keys[3]: Outcome.DELIVERED,
        keys[4]: Outcome.DELIVERED,
    }
    assert names(tmp_path) == ["000000000004.journal"]


def test_parked_deliveries_leave_no_trace(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    journal.append([result(1, Outcome.PARKED)], NOW_MS)
    assert names(tmp_path) == []
    journal.append([result(1, Outcome.PARKED), result(2)], NOW_MS)
    assert offsets(read_journal(tmp_path, 0)) == [2]
    journal.close()


def test_a_switch_begins_a_new_file_and_old_ones_go_when_their_epoch_is_durable(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    for generation in range(3):
        journal.switch(generation)
        journal.append([result(generation)], NOW_MS)
    journal.forget_before(2)
    assert names(tmp_path) == ["000000000002.journal"]
    journal.close()
    assert offsets(read_journal(tmp_path, 2)) == [2]


def test_what_a_process_before_left_behind_goes_as_well(tmp_path: Path) -> None:
    before = Journal(tmp_path, 4)
    before.append([result(4)], NOW_MS)
    before.close()
    journal = Journal(tmp_path, 5)
    journal.append([result(5)], NOW_MS)
    journal.forget_before(5)
    assert names(tmp_path) == ["000000000005.journal"]
    journal.close()
