"""The select step: decode, and drop the events that no webhook can want, before any of the work."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from msgspec.structs import replace

from pipeline.compile.versions import Versions
from pipeline.decode.decode import member_of
from pipeline.decode.formats import Formats
from pipeline.decode.scan import Scanned, scan
from pipeline.job.event_names import EventNames
from pipeline.job.format_check import FormatCheck
from pipeline.job.steps.chunks import Intake, Selected
from pipeline.job.steps.keys import identity_key
from pipeline.job.steps.stretch import Stretches
from pipeline.job.story import choose
from pipeline.job.tap.lookout import Lookout
from pipeline.model.records import Event, IdentityLink, Origin
from pipeline.model.sizes import USUAL, Sizes
from pipeline.outbox.counters import IGNORED, TIMELESS
from pipeline.sources.chunk import RawChunk
from pipeline.telemetry.metrics import count


def select(
    intake: Intake,
    formats: Formats,
    versions: Versions,
    stretches: Stretches,
    partitions: Sequence[str],
    event_names: EventNames,
    sizes: Sizes = USUAL,
    format_check: FormatCheck | None = None,
    lookout: Lookout | None = None,
) -> list[tuple[str, Selected]]:
    """Return what is left of a chunk, under the key of its partition.

    Links also go to the other partitions' keys. formats: for versions that say nothing of them.
    """
    selected = Selected(
        intake.partition, intake.partition, intake.config, intake.text, is_last=intake.is_last
    )
    if intake.raw is None:
        return [(identity_key(intake.partition), selected)]
    snapshot = versions.get(intake.config, intake.text)
    triggers = snapshot.triggers
    names: dict[str, None] = {}

    def wants(name: str, kind: str | None) -> bool:
        names[name] = None
        return triggers.wants(name, kind)

    format = snapshot.formats if snapshot.says_formats else formats
    scanned = scan(intake.raw, format=format, wants=wants, sizes=sizes)
    event_names.saw(names)
    raw = intake.raw

    def gave_up(event: Event) -> bytes:
        scanned.events -= 1
        scanned.invalid += 1
        return raw_of(event.origin, raw, format)

    items = selected.items = choose(scanned.records, triggers, gave_up)
    stretches.learn(intake.partition, len(items), len(intake.raw))
    count("chunks_total")
    if items:
        count("events_selected_total", len(items))
    selected.counts = (scanned.read, scanned.events, scanned.updates, scanned.links, scanned.invalid)
    if format_check is not None:
        format_check.saw(scanned.read, scanned.invalid, scanned.records)
    if lookout is not None:
        lookout.chunk(raw, format, scanned.records, items, snapshot)
    selected.noted = _noted(intake.raw, scanned)
    selected.passed = passed(intake.raw)
    chunks = [(identity_key(intake.partition), selected)]
    if scanned.links:
        chunks += broadcast(selected, partitions)
    return chunks


def raw_of(origin: Origin, raw: RawChunk, formats: Formats) -> bytes:
    """Return the bytes that a record was read from: its line, or its member of an envelope."""
    for at, line in enumerate(raw.lines):
        source = raw.sources if isinstance(raw.sources, str) else raw.sources[at]
        if line is not None and raw.offsets[at] == origin.offset and source == origin.source:
            part = raw.parts if raw.parts is None or isinstance(raw.parts, str) else raw.parts[at]
            return member_of(line, origin.item, formats.of(source, part))
    return b""


def _noted(raw: RawChunk, scanned: Scanned) -> dict[str, int] | None:
    """Return the irregularities: of the order, and records that are ignored or have no time."""
    timeless = sum([type(one) is Event and one.time is None for one in scanned.records])
    if not (timeless or scanned.ignored or raw.noted):
        return None
    found = {IGNORED: scanned.ignored, TIMELESS: timeless}
    return (raw.noted or {}) | {name: number for name, number in found.items() if number}


def broadcast(selected: Selected, partitions: Sequence[str]) -> list[tuple[str, Selected]]:
    """Return the chunk's links for every other partition: an id may occur there too."""
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
        for other in partitions
        if other != selected.partition
    ]


def elsewhere(origin: Origin, partition: str) -> Origin:
    """Return the origin of a link in another partition: the profiles it brings there are different ones."""
    return origin._replace(item=origin.item | (crc32(partition.encode()) & 0x7FFF) << 16)


def passed(raw: RawChunk) -> dict[str, int]:
    """Return the last offset of each source in a chunk."""
    if isinstance(raw.sources, str):
        return {raw.sources: raw.offsets[-1]} if raw.offsets else {}
    return dict(zip(raw.sources, raw.offsets, strict=True))
