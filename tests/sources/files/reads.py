"""What tests of recordings ask of one: what it gives, at once or a chunk per process."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import zstandard

from pipeline.sources.chunk import RawChunk
from pipeline.sources.files.recording import Recording

Place = tuple[str, int, bytes | None]


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda text: text,
    ".gz": lambda text: gzip.compress(text[:40]) + gzip.compress(text[40:]),
    ".zst": lambda text: zstandard.compress(text[:40]) + zstandard.compress(text[40:]),
}


def places(chunk: RawChunk) -> list[Place]:
    sources = chunk.sources if isinstance(chunk.sources, list) else [chunk.sources] * len(chunk)
    return list(zip(sources, chunk.offsets, chunk.lines, strict=True))


def read_all(recording: Recording, limit: int = 200) -> list[Place]:
    """Read until nothing comes; a finite recording must be done then."""
    found: list[Place] = []
    while (chunk := recording.read(limit)) is not None:
        assert 0 < len(chunk) <= limit
        found += places(chunk)
    recording.close()
    return found


def lines_of(*paths: Path | str, **given: Any) -> list[bytes | None]:
    recording = Recording([str(path) for path in paths], **given)
    found = read_all(recording)
    assert recording.done
    return [line for _, _, line in found]


def read_with_restarts(limit: int, **given: Any) -> list[Place]:
    """Read one chunk per process: each one starts from the pickled position of the one before."""
    found: list[Place] = []
    position = None
    while True:
        recording = Recording(**given, resume=position)
        chunk = recording.read(limit)
        recording.close()
        if chunk is None:
            assert recording.done
            return found
        found += places(chunk)
        position = pickle.loads(pickle.dumps(chunk.position))
        assert position[1] == len(found)


def event(time: Any, name: str = "e", **more: Any) -> bytes:
    return orjson.dumps({"type": "event", "name": name, "user_id": "u", "time": time, **more})


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)
