"""Readers that wait for schemas: who waits, for how long, and what they say meanwhile."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from pipeline.decode.auto import AUTO
from pipeline.decode.formats import Formats
from pipeline.decode.framed.framing import Frame
from pipeline.decode.framed.schemas import SCHEMAS, Registry, Stored
from pipeline.decode.framed_shapes import framed as framed_shape
from pipeline.model.errors import InvalidRecord
from pipeline.sources.chunk import RawChunk
from pipeline.sources.files.lines.recorded import Message, dump_line
from pipeline.sources.files.recording import Recording
from pipeline.sources.schemas import fetcher as fetching
from pipeline.sources.schemas.awaiting import AwaitingReader
from pipeline.sources.schemas.fetcher import Fetcher
from pipeline.sources.schemas.registry import Unanswered
from pipeline.telemetry import metrics
from tests.kit.programs.run import until
from tests.kit.receivers.registry import Answer, a_registry, framed
from tests.kit.receivers.registry import Registry as Known


class Door:
    """A registry in this process: it answers once it is open."""

    def __init__(self) -> None:
        self.open = False
        self.asked: list[str] = []

    async def fetch(self, registry: Registry, id: str, base: Path) -> Stored:
        await asyncio.sleep(0)
        self.asked.append(id)
        if not self.open:
            raise Unanswered("it is away")
        return Stored(version=1, registry=registry.url, id=id, schema='"string"')


def reader(tmp_path: Path, name: str, registry: Registry, fetcher: Fetcher, *ids: int) -> AwaitingReader:
    path = tmp_path / f"{name}.rec.jsonl"
    lines = [
        dump_line(Message(f"{name}/0", at, 5, None, None, framed(id, b"\2a"))) for at, id in enumerate(ids)
    ]
    path.write_bytes(b"".join(lines))
    formats = Formats(framed_shape(Frame("avro", registry), AUTO))
    return AwaitingReader(Recording([str(path)]), fetcher, formats)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FIRST_DELAY_SECS", 0.01)
    monkeypatch.setattr(fetching, "MOST_DELAY_SECS", 0.02)
    metrics.reset()


def test_a_reader_holds_its_chunk_until_all_its_schemas_are_on_disk_and_stands_before_it(
    tmp_path: Path,
) -> None:
    door, registry = Door(), Registry("http://r")
    fetcher = Fetcher(tmp_path / "schemas", tmp_path, fetch=door.fetch)
    waiting = reader(tmp_path, "t", registry, fetcher, 1, 2, 1, 3)
    before = waiting.position
    assert waiting.read(10) is None
    until(lambda: {"1", "2", "3"} <= set(door.asked))
    assert waiting.read(10) is None
    assert (waiting.done, waiting.position) == (False, before), "a restart reads it again"
    assert fetcher.waits().startswith("records wait for schema")
    door.open = True
    chunk = until(lambda: waiting.read(10))
    assert isinstance(chunk, RawChunk)
    assert len(chunk) == 4
    assert waiting.position == chunk.position
    until(lambda: waiting.read(10) is None and waiting.done)
    assert len([*(tmp_path / "schemas").rglob("*.json")]) == 3
    until(lambda: fetcher.waits() == "")
    assert metrics.read("source_schemas_missing") == 0
    fetcher.close()
    SCHEMAS.forget()
    again = reader(tmp_path, "t", registry, Fetcher(tmp_path / "schemas", tmp_path, fetch=door.fetch), 1)
    door.asked.clear()
    assert again.read(10) is not None
    assert door.asked == [], "what is on disk is never asked for again"


def test_one_registry_that_is_away_holds_up_no_other(tmp_path: Path) -> None:
    away, there = Door(), Door()
    there.open = True

    async def fetch(registry: Registry, id: str, base: Path) -> Stored:
        return await (away if registry.url == "http://away" else there).fetch(registry, id, base)

    fetcher = Fetcher(tmp_path / "schemas", tmp_path, fetch=fetch)
    held = reader(tmp_path, "a", Registry("http://away"), fetcher, 1)
    flowing = reader(tmp_path, "b", Registry("http://there"), fetcher, 1)
    assert held.read(10) is None
    until(lambda: len(away.asked) > 3)
    assert until(lambda: flowing.read(10)) is not None
    assert held.read(10) is None
    fetcher.close()


def test_a_folder_that_takes_nothing_is_a_reason_too(tmp_path: Path) -> None:
    door = Door()
    door.open = True
    (tmp_path / "schemas").write_text("a file")
    fetcher = Fetcher(tmp_path / "schemas", tmp_path, fetch=door.fetch)
    waiting = reader(tmp_path, "t", Registry("http://r"), fetcher, 1)
    assert waiting.read(10) is None
    until(lambda: "cannot be kept" in fetcher.waits())
    (tmp_path / "schemas").unlink()
    assert until(lambda: waiting.read(10)) is not None
    fetcher.close()


def wait_for(tmp_path: Path, registry: Known, *ids: int) -> list[str]:
    """Return what was asked until records of these schemas could be read."""
    fetcher = Fetcher(tmp_path / "schemas", tmp_path)
    waiting = reader(tmp_path, "t", Registry(registry.url), fetcher, *ids)
    try:
        until(lambda: waiting.read(10))
    finally:
        fetcher.close()
    return [path for path in registry.asked if "ids" in path]


def test_a_node_that_has_not_heard_yet_of_a_new_schema_makes_no_dead_record(tmp_path: Path) -> None:
    with a_registry() as registry:

        def told(path: str) -> Answer | None:
            if registry.asked.count(path) > 3:
                registry.add(7, "string")
            return None

        registry.script = told
        asked = wait_for(tmp_path, registry, 7)
        assert len(asked) == 4
        assert SCHEMAS.read(registry.url, "7", b"\2a") == "a"


def test_ids_that_no_node_has_hold_up_records_shortly_and_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "PATIENT_SECS", 0.05)
    with a_registry() as registry:
        assert len(wait_for(tmp_path, registry, 7)) > 1
        with pytest.raises(InvalidRecord, match="does not have it"):
            SCHEMAS.read(registry.url, "7", b"")
    monkeypatch.setattr(fetching, "PATIENT_SECS", 10.0)
    fetcher = Fetcher(tmp_path / "schemas", tmp_path, fetch=Door().fetch)
    for secs_ago, is_early in ((9.0, True), (11.0, False), (59.0, False), (61.0, True)):
        fetcher._patient_from["http://r"] = time.monotonic() - secs_ago
        assert fetcher._is_early("http://r") == is_early
    assert fetcher._is_early("http://another")
    fetcher.close()


def test_a_registry_that_flaps_is_asked_until_it_says_what_the_schema_is(tmp_path: Path) -> None:
    answers = [(503, b""), (200, b"<html>"), (200, b'{"schema":'), (429, b""), (302, b""), (404, b"")]
    with a_registry() as registry:
        registry.add(7, "string")
        registry.script = lambda path: answers.pop(0) if answers else None
        assert len(wait_for(tmp_path, registry, 7)) == 7
        assert SCHEMAS.read(registry.url, "7", b"\2a") == "a"
