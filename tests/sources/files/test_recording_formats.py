"""Files are merged by what their shapes say, under the version of the line that the reader stands at."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.decode.formats import Formats
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.files.recording import Recording
from tests.kit.streams.shapes import shape

EVENT = "- event: {{name: {{text: A}}, user_id: u, time: {{path: {0}, unit: s}}}}"
FIRST, SECOND = Formats(shape(EVENT.format("t1"))), Formats(shape(EVENT.format("t2")))
USERS = Formats(shape("- user: {user_id: u, time: {path: t2, unit: s}}"))


def make(folder: Path) -> list[str]:
    """Write two files whose lines are in one order by `t1` and in another by `t2`."""
    lines = {"a": [(1, 1), (3, 9), (5, 10)], "b": [(2, 2), (4, 3), (6, 4)]}
    for name, times in lines.items():
        rows = [json.dumps({"u": name, "t1": one, "t2": other}) + "\n" for one, other in times]
        (folder / f"{name}.jsonl").write_text("".join(rows))
    return [str(folder / f"{name}.jsonl") for name in lines]


def take(reader: Recording, lines: int) -> list[str]:
    """Return where so many lines came from."""
    found: list[str] = []
    while len(found) < lines and not reader.done:
        chunk: RawChunk | None = reader.read(lines - len(found))
        if chunk is not None:
            found += [chunk.sources] * len(chunk) if isinstance(chunk.sources, str) else chunk.sources
    return [one[0] for one in found]


def test_the_order_follows_the_shape_of_the_version(tmp_path: Path) -> None:
    paths = make(tmp_path)
    for formats, wanted in ((FIRST, "ababab"), (SECOND, "abbbaa"), (USERS, "abbbaa")):
        reader = Recording(paths)
        reader.under(formats)
        assert "".join(take(reader, 6)) == wanted


def test_a_line_after_a_change_is_placed_by_the_new_shape_also_when_it_is_read_again(tmp_path: Path) -> None:
    paths = make(tmp_path)
    reader = Recording(paths)
    reader.under(FIRST)
    before = take(reader, 2)
    at: Position = reader.position
    reader.under(SECOND)
    rest = take(reader, 4)
    assert ("".join(before), "".join(rest)) == ("ab", "bbaa")
    again = Recording(paths, resume=at)
    again.under(SECOND)
    assert take(again, 4) == rest
    replayed = Recording(paths, resume=at)
    replayed.under(FIRST)
    assert "".join(take(replayed, 4)) == "abab"


def test_an_update_of_an_own_shape_goes_before_an_event_of_its_time(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"u":1,"n":"A","t":5}\n')
    (tmp_path / "z.jsonl").write_text('{"u":1,"p":{},"t":5}\n')
    by = shape(
        """
        - event: {name: n, user_id: u, time: {path: t, unit: s}}
        - user: {user_id: u, set: p, time: {path: t, unit: s}}
        """
    )
    reader = Recording([str(tmp_path / "a.jsonl"), str(tmp_path / "z.jsonl")])
    reader.under(Formats(by))
    assert "".join(take(reader, 2)) == "za"
