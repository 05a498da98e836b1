"""The select step: decode, and drop the events that no webhook can want, before any of the work."""

from __future__ import annotations

from zlib import crc32

from msgspec.structs import replace

from pipeline.decode.scan import scan
from pipeline.job.context import Job
from pipeline.job.steps.chunks import Intake, Selected
from pipeline.job.steps.keys import identity_key
from pipeline.job.story import choose
from pipeline.model.records import IdentityLink, Origin
from pipeline.sources.chunk import CHUNK_LINES, RawChunk
from pipeline.telemetry.metrics import count

MAX_STRETCH = 5
"""A thousand lines: no more than the engine keeps in memory for one webhook."""


def select(job: Job, intake: Intake) -> list[tuple[str, Selected]]:
    """Return what is left of a chunk, under the key of its partition.

    Links also go to the other partitions' keys.
    """
    selected = Selected(
        intake.partition, intake.partition, intake.config, intake.text, is_last=intake.is_last
    )
    if intake.raw is None:
        return [(identity_key(intake.partition), selected)]
    triggers = job.versions.get(intake.config, intake.text).triggers
    scanned = scan(intake.raw, format=job.format, wants=triggers.wants)
    items = selected.items = choose(scanned.records, triggers)
    job.stretch = stretched(job.stretch, len(items), len(intake.raw))
    count("chunks_total")
    if items:
        count("events_selected_total", len(items))
    selected.counts = (scanned.read, scanned.events, scanned.updates, scanned.links, scanned.invalid)
    selected.passed = passed(intake.raw)
    chunks = [(identity_key(intake.partition), selected)]
    if scanned.links:
        chunks += broadcast(job, selected)
    return chunks


def stretched(stretch: int, left: int, lines: int) -> int:
    """Return how many usual chunks to read as one next.

    Every chunk costs the same again at each shard, however few of its records are left: where few are, longer
    ones do. Never so long that a burst of wanted events fills a lane's memory, and short again after one.
    """
    if left > CHUNK_LINES:
        return 1
    if lines >= stretch * CHUNK_LINES and left * 2 < CHUNK_LINES:
        return min(stretch + 1, MAX_STRETCH)
    return stretch


def broadcast(job: Job, selected: Selected) -> list[tuple[str, Selected]]:
    """Return the chunk's links for every other partition: an id may turn up there too."""
    links = [record for record, _ in selected.items if isinstance(record, IdentityLink)]
    return [
        (
            identity_key(other),
            Selected(
                other,
                selected.partition,
                selected.config,
                items=[(replace(link, origin=elsewhere(link.origin, other)), ()) for link in links],
            ),
        )
        for other in job.partitions
        if other != selected.partition
    ]


def elsewhere(origin: Origin, partition: str) -> Origin:
    """Return the origin of a link in another partition: the profiles it brings there are not the same."""
    return origin._replace(item=origin.item | (crc32(partition.encode()) & 0x7FFF) << 16)


def passed(raw: RawChunk) -> dict[str, int]:
    """Return the last offset of each source in a chunk."""
    if isinstance(raw.sources, str):
        return {raw.sources: raw.offsets[-1]} if raw.offsets else {}
    return dict(zip(raw.sources, raw.offsets, strict=True))
