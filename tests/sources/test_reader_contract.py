"""The contract of readers, kept by those of files, by the paced one and by the made-up shop."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread

import orjson
import pytest
import zstandard

from pipeline.recording.generated import Generated
from pipeline.sources.chunk import Position
from pipeline.sources.files.lines.recorded import Message, dump_line
from pipeline.sources.files.recording import Recording
from pipeline.sources.paced import Paced
from tests.kit.streams.collected import CollectorsFolder
from tests.kit.streams.reader_contract import Case, ReaderContract, chunks

EVENTS = [
    orjson.dumps({"type": "event", "name": "E", "user_id": "u", "n": n, "time": 1_700_000_000 + n})
    for n in range(23)
]


def text(lines: Sequence[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def files(*paths: Path, follow: bool = False) -> Callable[[Position | None], Recording]:
    return lambda position: Recording([str(path) for path in paths], follow=follow, resume=position)


def one_file(tmp_path: Path) -> Case:
    (tmp_path / "a.jsonl").write_bytes(text(EVENTS))
    return Case(files(tmp_path / "a.jsonl"), EVENTS)


def compressed(tmp_path: Path) -> Case:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text(EVENTS)))
    return Case(files(tmp_path / "a.jsonl.gz"), EVENTS)


def several(tmp_path: Path) -> Case:
    (tmp_path / "a.jsonl").write_bytes(text(EVENTS[::3]))
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.compress(text(EVENTS[1::3])))
    (tmp_path / "c.jsonl").write_bytes(text(EVENTS[2::3]))
    return Case(files(tmp_path), EVENTS)


def followed(tmp_path: Path) -> Case:
    (tmp_path / "a.jsonl").write_bytes(text(EVENTS) + b'{"torn":')
    return Case(files(tmp_path / "a.jsonl", follow=True), EVENTS, ends=False)


def recorded(tmp_path: Path) -> Case:
    lines = [
        dump_line(Message("events/0", 7 * n, 1000 + n, b"u", [("h", None)], line))
        for n, line in enumerate(EVENTS)
    ]
    (tmp_path / "a.rec.jsonl").write_bytes(b"".join(lines))
    return Case(files(tmp_path / "a.rec.jsonl"), EVENTS)


def collected(tmp_path: Path, *, follow: bool = False) -> Case:
    folder = CollectorsFolder(tmp_path)
    for n, line in enumerate(EVENTS):
        folder.append(line)
        if n in (4, 5, 12):
            folder.rotate()
        if n == 7:
            folder.pack()
    return Case(files(tmp_path, follow=follow), EVENTS, ends=not follow)


def pipe(tmp_path: Path) -> Case:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def open_(position: Position | None) -> Recording:
        # The same stream once more; opening the pipe waits for the other end, which may close it early.
        def write() -> None:
            with suppress(BrokenPipeError):
                path.write_bytes(text(EVENTS))

        Thread(target=write, daemon=True).start()
        return files(path)(position)

    return Case(open_, EVENTS)


def paced(case: Case) -> Case:
    return Case(lambda position: Paced(case.open(position), 5000.0), case.lines, case.ends)


def generated(tmp_path: Path) -> Case:
    return Case(lambda position: Generated(10_000), ends=False, resumes=False)


KINDS: dict[str, Callable[[Path], Case]] = {
    "one file": one_file,
    "compressed": compressed,
    "several files": several,
    "followed": followed,
    "recorded messages": recorded,
    "a collector's folder": collected,
    "a collector's folder, followed": lambda tmp_path: collected(tmp_path, follow=True),
    "a pipe": pipe,
    "paced file": lambda tmp_path: paced(one_file(tmp_path)),
    "paced files": lambda tmp_path: paced(several(tmp_path)),
    "paced and followed": lambda tmp_path: paced(followed(tmp_path)),
    "a shop": generated,
}


class TestReaders(ReaderContract):
    @pytest.fixture(params=KINDS)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        folder = tmp_path / "input"
        folder.mkdir()
        return KINDS[request.param](folder)


def test_a_paced_reader_shows_the_progress_of_the_one_behind_and_ends_where_it_does(tmp_path: Path) -> None:
    case = one_file(tmp_path)
    behind, reader = case.open(None), paced(case).open(None)
    assert list(chunks(behind))
    assert list(chunks(reader))
    assert reader.progress == behind.progress == ((tmp_path / "a.jsonl").stat().st_size,) * 2
    assert reader.position == behind.position
