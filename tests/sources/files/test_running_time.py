"""Several files merged by time: one stamp far ahead holds up nobody but itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.files.lines import blocks
from pipeline.sources.files.merging.running_time import VOTES
from pipeline.sources.files.recording import Recording
from tests.kit.examples import examples

T = 1_795_445_400_000
YEARS = T + 10 * 31_557_600_000
MINUTE = 60_000


def write(
    path: Path, name: str, times: Sequence[int | None], *, end: str = "\n", append: bool = False
) -> None:
    kind = {"type": "user", "set": {}} if path.name.startswith("u") else {"type": "event", "name": "E"}
    lines = []
    for number, time in enumerate(times):
        line = {**kind, "user_id": f"{name}{number}"} | ({} if time is None else {"time": time})
        lines.append(json.dumps(line))
    with path.open("a" if append else "w") as file:
        file.write("\n".join(lines) + (end if lines else ""))


def chunks(reader: Recording, limit: int = 200, most: int = 10_000) -> Iterator[RawChunk]:
    for _ in range(most):
        chunk = reader.read(limit)
        if chunk is None:
            break
        yield chunk


def ids(reader: Recording, limit: int = 200, most: int = 10_000) -> list[str]:
    return [
        json.loads(line or b"")["user_id"] for chunk in chunks(reader, limit, most) for line in chunk.lines
    ]


def read(folder: Path, resume: Position | None = None, *, follow: bool = False) -> Recording:
    return Recording(
        users=[str(folder / "u.jsonl")], events=[str(folder / "e.jsonl")], resume=resume, follow=follow
    )


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("where", [0, 1])
def test_an_update_from_a_clock_far_ahead_holds_up_no_other_update(
    tmp_path: Path, where: int, end: str
) -> None:
    users: list[int | None] = [T, T + MINUTE]
    users.insert(where, YEARS)
    write(tmp_path / "u.jsonl", "u", users, end=end)
    write(tmp_path / "e.jsonl", "e", [T + 30_000, T + 2 * MINUTE], end=end)
    assert (
        ids(read(tmp_path)) == {0: ["u0", "u1", "e0", "u2", "e1"], 1: ["u0", "e0", "u1", "u2", "e1"]}[where]
    )


def test_an_event_from_a_clock_far_ahead_lets_no_other_event_see_later_updates(tmp_path: Path) -> None:
    write(tmp_path / "u.jsonl", "u", [T, T + MINUTE])
    write(tmp_path / "e.jsonl", "e", [YEARS, T + 30_000])
    assert ids(read(tmp_path)) == ["u0", "e0", "e1", "u1"]


def test_several_of_them_in_a_row_are_outvoted(tmp_path: Path) -> None:
    write(tmp_path / "u.jsonl", "u", [T, *[YEARS] * 30, *[T + number for number in range(31)]])
    write(tmp_path / "e.jsonl", "e", [T + 15])
    order = ids(read(tmp_path))
    assert order.index("e0") == order.index("u46") + 1


def test_a_gap_of_days_is_no_stamp_ahead(tmp_path: Path) -> None:
    days = [T + number * 86_400_000 for number in range(5)]
    write(tmp_path / "u.jsonl", "u", days)
    write(tmp_path / "e.jsonl", "e", [day + 1 for day in days])
    assert ids(read(tmp_path)) == [f"{kind}{number}" for number in range(5) for kind in "ue"]


def test_after_a_real_jump_the_time_is_believed(tmp_path: Path) -> None:
    """More records than have a vote say so, whatever straggles in afterwards."""
    write(tmp_path / "u.jsonl", "u", [T, *[T + 86_400_000 + n for n in range(VOTES + 5)], T + 5])
    write(tmp_path / "e.jsonl", "e", [T + 43_200_000, T + 86_400_000 + VOTES + 4])
    order = ids(read(tmp_path))
    assert order[:2] == ["u0", "e0"]
    assert order[-2:] == [f"u{VOTES + 6}", "e1"]


def test_one_at_the_end_is_believed_until_the_file_grows(tmp_path: Path) -> None:
    write(tmp_path / "u.jsonl", "u", [T, YEARS])
    write(tmp_path / "e.jsonl", "e", [T + 1])
    first = read(tmp_path)
    assert ids(first) == ["u0", "e0", "u1"]
    write(tmp_path / "u.jsonl", "v", [T + 2, T + 4], append=True)
    write(tmp_path / "e.jsonl", "f", [T + 3, T + 5], append=True)
    assert ids(read(tmp_path, first.position)) == ["v0", "f0", "v1", "f1"]


def test_a_followed_file_takes_it_back_when_what_comes_contradicts_it(tmp_path: Path) -> None:
    write(tmp_path / "u.jsonl", "u", [T])
    write(tmp_path / "e.jsonl", "e", [])
    reader = read(tmp_path, follow=True)
    assert ids(reader) == ["u0"]
    write(tmp_path / "u.jsonl", "ahead", [YEARS], append=True)
    assert ids(reader) == ["ahead0"], "nobody waits for what may never come"
    write(tmp_path / "u.jsonl", "v", [T + 2, T + 4], append=True)
    write(tmp_path / "e.jsonl", "e", [T + 1, T + 3], append=True)
    assert ids(reader) == ["e0", "v0", "e1", "v1"]


def test_two_of_them_at_the_end_are_taken_back_together(tmp_path: Path) -> None:
    write(tmp_path / "u.jsonl", "u", [T, YEARS, 2 * YEARS])
    write(tmp_path / "e.jsonl", "e", [])
    reader = read(tmp_path, follow=True)
    assert ids(reader) == ["u0", "u1", "u2"]
    write(tmp_path / "u.jsonl", "v", [T + 2], append=True)
    write(tmp_path / "e.jsonl", "e", [T + 1, T + 3], append=True)
    assert ids(reader) == ["e0", "v0", "e1"]


def test_a_position_of_before_has_no_doubts(tmp_path: Path) -> None:
    write(tmp_path / "u.jsonl", "u", [T, T + 2])
    write(tmp_path / "e.jsonl", "e", [T + 1])
    first = read(tmp_path)
    ids(first, limit=1, most=1)
    _, lines, places = first.position
    older = ("jsonl-1", lines, tuple(place[:7] for place in places))
    assert ids(read(tmp_path, older)) == ["e0", "u1"]


@pytest.mark.parametrize(
    ("events", "unordered"),
    [
        ([T + 9 * MINUTE, T + 6 * MINUTE, T + 3 * MINUTE, T], 3),  # the newest first, as in many exports
        ([T, T + 5 * MINUTE, T + 5 * MINUTE + 1, T + MINUTE, T + 5 * MINUTE + 2, T + 5 * MINUTE + 3], 1),
        ([T, T + 2 * MINUTE, T + MINUTE + 1, T + 3 * MINUTE], 0),
    ],
)
def test_files_that_are_not_in_order_of_time_are_said_to_be_so(
    tmp_path: Path, events: list[int], unordered: int
) -> None:
    write(tmp_path / "u.jsonl", "u", [T, T + 10 * MINUTE])
    write(tmp_path / "e.jsonl", "e", events)
    assert sum((chunk.noted or {}).get("unordered", 0) for chunk in chunks(read(tmp_path))) == unordered
    assert not any(chunk.noted for chunk in chunks(read(tmp_path, follow=True))), "in order of arrival"


times = st.lists(
    st.one_of(st.none(), st.integers(0, 200).map(lambda second: T + 1000 * second), st.just(YEARS)),
    max_size=30,
)


@settings(max_examples=examples(60), deadline=None)
@given(times, times, st.integers(1, 7), st.integers(60, 400), st.integers(0, 20))
def test_the_order_depends_on_no_block_no_chunk_and_no_restart(
    tmp_path_factory: pytest.TempPathFactory,
    users: list[int | None],
    events: list[int | None],
    limit: int,
    block: int,
    most: int,
) -> None:
    folder = tmp_path_factory.mktemp("files")
    write(folder / "u.jsonl", "u", users)
    write(folder / "e.jsonl", "e", events, end="")
    wanted = ids(read(folder))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(blocks, "BLOCK_BYTES", block)
        first = read(folder)
        found = ids(first, limit, most)
        found += ids(read(folder, first.position), limit)
    assert found == wanted
