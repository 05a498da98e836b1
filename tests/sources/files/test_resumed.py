"""Between two runs files grow, are copied, join and leave, and nothing is read twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.model.errors import StateError
from pipeline.sources.files.recording import Recording
from tests.sources.files.reads import PACK, event, lines_of, read_all


def test_files_may_join_leave_and_come_back_and_none_is_read_twice(tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{name}.jsonl" for name in "abc")
    first.write_bytes(event(5, "a") + b"\n")
    second.write_bytes(event(6, "b") + b"\n")
    run = Recording([str(first), str(second)])
    assert len(read_all(run)) == 2
    third.write_bytes(event(1, "c"))
    run = Recording([str(second), str(third)], resume=run.position)
    assert [name for name, _, _ in read_all(run)] == ["c.jsonl"]
    run = Recording([str(tmp_path)], resume=run.position)
    assert read_all(run) == []
    assert run.done


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("ends", [b"\n", b""])
def test_a_file_that_grew_goes_on_where_it_stopped(tmp_path: Path, suffix: str, ends: bytes) -> None:
    path = tmp_path / f"r.jsonl{suffix}"
    pack = PACK[suffix]
    path.write_bytes(pack(b"one\ntwo" + ends))
    run = Recording([str(path)])
    assert len(read_all(run)) == 2
    grown = b"\nthree\n" if not ends else b"three\n"
    path.write_bytes(path.read_bytes() + pack(grown))
    run = Recording([str(path)], resume=run.position)
    assert [(at, line) for _, at, line in read_all(run)] == [(8, b"three")]
    assert lines_of(path, resume=run.position) == []


@pytest.mark.parametrize("suffix", PACK)
def test_a_copy_is_the_same_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.jsonl{suffix}"
    path.write_bytes(PACK[suffix](b"one\ntwo\nthree\n"))
    run = Recording([str(path)])
    run.read(2)
    text = path.read_bytes()
    path.unlink()
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / path.name).write_bytes(text)
    assert lines_of(other / path.name, resume=run.position) == [b"three"]


@pytest.mark.parametrize("suffix", PACK)
def test_a_file_with_another_beginning_is_an_error_that_says_what_to_do(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.jsonl{suffix}"
    path.write_bytes(PACK[suffix](b"one\ntwo\n" * 100))
    run = Recording([str(path)])
    run.read(2)
    path.write_bytes(PACK[suffix](b"eno\ntwo\n" * 100))
    with pytest.raises(StateError, match=r"its beginning is not what was read.*empty state directory"):
        Recording([str(path)], resume=run.position)


@pytest.mark.parametrize("suffix", PACK)
def test_a_file_that_shrank_is_an_error_that_says_what_to_do(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.jsonl{suffix}"
    text = b"".join(b"%d\n" % (at * 7919) for at in range(3000))
    path.write_bytes(PACK[suffix](text))
    run = Recording([str(path)])
    read_all(run)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(StateError, match=r"were read\. A recording may grow"):
        Recording([str(path)], resume=run.position)


@pytest.mark.parametrize(
    ("position", "told"),
    [
        (("kafka-1", 5, ()), "another kind of source then. Give it that one again"),
        (("jsonl-9", 5, ()), "a newer version of Hookline wrote it. Run that version again"),
        (("jsonl-3", 5, (("r.jsonl", *range(20)),)), "a newer version of Hookline wrote it"),
        (("jsonl-4", 5, (("\0news", 1),)), "a newer version of Hookline wrote it"),
    ],
)
def test_a_position_that_cannot_be_read_is_refused_with_what_to_do(
    position: Any, told: str, tmp_path: Path
) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"x")
    with pytest.raises(StateError, match=told):
        Recording([str(tmp_path / "r.jsonl")], resume=position)
