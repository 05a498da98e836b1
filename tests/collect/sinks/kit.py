"""Batches to keep, and what is found in a collector's folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from hashlib import blake2b
from pathlib import Path
from typing import Any
from unittest.mock import patch

import zstandard

from pipeline.collect.batch import Batch, Member
from pipeline.collect.sinks.recording import sink as sink_module
from pipeline.collect.sinks.recording.keeper import Keeper
from pipeline.collect.sinks.recording.sink import RecordingSink
from pipeline.config.models.installation.collect import CollectKafka, CollectSection, CollectTo
from pipeline.sources.files.lines.recorded import Message, parse_line

HEADERS = (("hk-protocol", b"native"), ("hk-key", b"server"))


def in_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own, and let no failed callback pass."""

    @wraps(test)
    def run(*args: object, **given: object) -> None:
        async def watched() -> None:
            failed: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: failed.append(context))
            await test(*args, **given)
            assert not failed

        asyncio.run(watched())

    return run


class Uncompressing(Keeper):
    """Leaves closed segments as they are."""

    def _pack(self, first: int) -> None:
        pass


def section_of(folder: Path, **settings: object) -> CollectSection:
    """Return a section for a folder, which takes the disk to its end; settings: beyond its limits, too."""
    section = CollectSection(to=CollectTo(recording=str(folder)), keys="any")
    return section.model_copy(update={"reserve_bytes": 0, **settings})


def section_to(brokers: str, topic: str, settings: Mapping[str, Any] = {}, **more: object) -> CollectSection:
    """Return a section for a topic."""
    to = CollectKafka(brokers=brokers, topic=topic, settings=dict(settings))
    return CollectSection(to=CollectTo(kafka=to), keys="any").model_copy(update=more)


def opened(
    folder: Path, *, clock_ms: Callable[[], int] | None = None, compress: bool = True, **settings
) -> RecordingSink:
    """Return a sink of recordings, see `section_of`."""
    section = section_of(folder, **settings)
    with patch.object(sink_module, "Keeper", Keeper if compress else Uncompressing):
        return RecordingSink(section, clock_ms=clock_ms) if clock_ms else RecordingSink(section)


def member(name: str, user: str | None = "u1", at_ms: int | None = None, *, same: bool = True) -> Member:
    digest = blake2b(name.encode(), digest_size=16).digest() if same else None
    return Member(b'{"id":"%b"}' % name.encode(), user, at_ms, digest, HEADERS)


def batch(*members: Member, page: bool = False, received_ms: int | None = None) -> Batch:
    return Batch(members, time.time_ns() // 1_000_000 if received_ms is None else received_ms, page)


def named(*names: str, page: bool = False) -> Batch:
    return batch(*map(member, names), page=page)


def segments(folder: Path) -> list[str]:
    """Return the files that are segments, the oldest first; a plain one beside its compressed one once."""
    return sorted(path.name for path in folder.iterdir() if path.name.endswith((".rec.jsonl", ".zst")))


def kept(folder: Path) -> list[Message]:
    """Return every line of a folder as a reader finds it; raises where one is damaged."""
    found: list[Message] = []
    for name in segments(folder):
        if name.endswith(".zst") and (folder / name.removesuffix(".zst")).exists():
            continue
        with (folder / name).open("rb") as file:
            source = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            data = source.read() if name.endswith(".zst") else file.read()
        assert data == b"" or data.endswith(b"\n"), f"{name} is torn"
        found += map(parse_line, data.splitlines())
    return found


def values(folder: Path) -> list[str]:
    """Return the names of the members that are kept, in order."""
    return [(message.value or b"")[7:-2].decode() for message in kept(folder)]
