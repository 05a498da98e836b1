"""Several files are one stream: their order, their names, each of them once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.model.errors import ConfigError, StateError
from pipeline.sources.files.recording import Recording
from tests.kit.examples import examples
from tests.sources.files.reads import PACK, event, lines_of, read_all, read_with_restarts


def merged_by_hand(files: dict[str, list[tuple[int | None, int, bytes]]]) -> list[tuple[str, bytes]]:
    """The rule in its plainest form: take the smallest (running maximum, side, name) of the heads."""
    heads = dict.fromkeys(files, 0)
    latest = dict.fromkeys(files, -(10**18))
    found: list[tuple[str, bytes]] = []
    while True:
        candidates = []
        for name, lines in files.items():
            if heads[name] < len(lines):
                when, side, line = lines[heads[name]]
                reached = latest[name] if when is None else max(latest[name], when)
                candidates.append((reached, side, name, line))
        if not candidates:
            return found
        reached, _, name, line = min(candidates)
        latest[name] = reached
        heads[name] += 1
        found.append((name, line))


@st.composite
def streams(draw: st.DrawFn) -> dict[str, list[tuple[int | None, int, bytes]]]:
    files: dict[str, list[tuple[int | None, int, bytes]]] = {}
    for name in ("a.jsonl", "b.jsonl.gz", "sub/c.jsonl.zst")[: draw(st.integers(1, 3))]:
        lines: list[tuple[int | None, int, bytes]] = []
        for at in range(draw(st.integers(0, 8))):
            when = draw(st.none() | st.integers(1_700_000_000_000, 1_700_000_000_004))
            if draw(st.booleans()):
                lines.append((when, 1, event(when, f"{name} {at}")))
            else:
                lines.append((when, 0, event(when, f"{name} {at}").replace(b'"event"', b'"user"')))
        files[name] = lines
    return files


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(80), deadline=None
)
@given(streams(), st.integers(1, 5))
def test_several_files_are_merged_by_the_running_maximum_of_their_times(
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[str, list[tuple[int | None, int, bytes]]],
    limit: int,
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    for name, lines in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(
            PACK["" if name == "a.jsonl" else path.suffix](b"".join(line + b"\n" for _, _, line in lines))
        )
    expected = (
        merged_by_hand(files) if len(files) > 1 else [("a.jsonl", line) for _, _, line in files["a.jsonl"]]
    )
    found = read_all(Recording([str(folder)]), limit)
    assert [(name, line) for name, _, line in found] == expected
    assert read_with_restarts(limit, paths=[str(folder)]) == found


def test_users_of_their_own_file_come_before_events_of_the_same_time(tmp_path: Path) -> None:
    (tmp_path / "a-events.jsonl").write_bytes(event(5) + b"\n" + event(7) + b"\n")
    (tmp_path / "z-users.jsonl").write_bytes(b'{"user_id":"u","time":5}\n{"user_id":"v","time":6}\n')
    recording = Recording(events=[str(tmp_path / "a-events.jsonl")], users=[str(tmp_path / "z-users.jsonl")])
    assert [(name[0], line) for name, _, line in read_all(recording)] == [
        ("z", b'{"user_id":"u","time":5}'),
        ("a", event(5)),
        ("z", b'{"user_id":"v","time":6}'),
        ("a", event(7)),
    ]


def test_the_same_file_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(event(1))
    assert len(lines_of(tmp_path, tmp_path / "a.jsonl", tmp_path / "*.jsonl")) == 1


def test_the_name_of_a_file_may_be_anything_but_is_utf8_in_origins(tmp_path: Path) -> None:
    names = [b"\xff\xe9.jsonl", "ünï.jsonl".encode(), b"new\nline.jsonl"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(event(1))
    recording = Recording([str(tmp_path)])
    assert {name for name, _, _ in read_all(recording)} == {
        "\\xff\\xe9.jsonl",
        "ünï.jsonl",
        "new\nline.jsonl",
    }
    assert read_all(Recording([str(tmp_path)], resume=recording.position)) == []


def test_what_an_older_version_has_read_of_a_file_whose_name_is_no_utf8_is_not_read_again(
    tmp_path: Path,
) -> None:
    name = os.fsdecode(b"caf\xe9.jsonl")
    (tmp_path / name).write_bytes(b"1\n2\n")
    recording = Recording([str(tmp_path)])
    recording.read(1)
    version, count, (place,) = recording.position
    older = (version, count, ((name, *place[1:]),))
    assert read_all(Recording([str(tmp_path)], resume=older)) == [("caf\\xe9.jsonl", 2, b"2")]


def test_equal_names_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "e.jsonl").write_bytes(event(1, folder))
    both = [str(tmp_path / "x" / "e.jsonl"), str(tmp_path / "y" / "e.jsonl")]
    assert [name for name, _, _ in read_all(Recording(both))] == ["x/e.jsonl", "y/e.jsonl"]
    alone = Recording(both[:1])
    read_all(alone)
    assert [name for name, _, _ in read_all(Recording(both, resume=alone.position))] == ["y/e.jsonl"]
    (tmp_path / "x" / "e.jsonl").write_bytes(event(1, "z"))
    with pytest.raises(StateError, match=r"several files are called e\.jsonl"):
        Recording(both, resume=alone.position)


def test_a_missing_path_and_an_empty_folder_are_said_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        Recording([str(tmp_path / "nothing.jsonl")])
    with pytest.raises(ConfigError, match=r"there is no \*.jsonl"):
        Recording([str(tmp_path)])
