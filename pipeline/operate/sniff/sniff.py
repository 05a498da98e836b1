"""Analyses a stream: how many records of each shape, and a shape file for those without one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from pipeline.compile.shapes import read_formats
from pipeline.config.files import SHAPES, JobDefaults
from pipeline.config.formats import own_names
from pipeline.decode.auto import NAMES
from pipeline.decode.collected import is_collected
from pipeline.decode.decode import BY_NAME
from pipeline.decode.shape import Shape
from pipeline.language.formats import RECORDING
from pipeline.model.errors import ConfigError, UsageError
from pipeline.model.files.disk import write_text
from pipeline.model.json import Value
from pipeline.model.records import Invalid, Record
from pipeline.operate.sniff.doubts import lost, timeless
from pipeline.operate.sniff.guess.entries import NAMELESS
from pipeline.operate.sniff.propose import Proposal, apart, propose
from pipeline.operate.sniff.recognise import (
    FRAMED,
    NO_OBJECT,
    OWN,
    TOMBSTONE,
    Recognised,
    recognise,
    settle,
)
from pipeline.operate.sniff.registries import Registries
from pipeline.operate.sniff.sample import SampledPart, StreamSample
from pipeline.recording.native_lines import native_line

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ENDS: Final = (".zst", ".gz", ".jsonl", ".ndjson", ".json", ".rec", ".log", ".txt")


@dataclass(slots=True)
class Found:
    """The records of one shape."""

    shape: str
    records: int = 0
    unread: int = 0
    """How many of them the shape itself cannot read."""
    parts: dict[str, int] = field(default_factory=dict)
    reason: str | None = None
    place: str = ""
    """Where the first unreadable one is."""


AVRO: Final = '{avro: {registry: "http://registry:8081"}}'
"""The format of framed records that are not JSON; the address is to be filled in."""


@dataclass(slots=True)
class Sniffed:
    """What is known about a sample."""

    parts: list[SampledPart]
    found: list[Found]
    """The most frequent shape first."""
    proposals: list[Proposal]
    """One for each kind of unknown records, the most frequent first."""
    lost: list[tuple[str, str, int]]
    """Objects that a shape reads nothing from: the shape, the field, in how many records."""
    notes: list[str]
    formats: dict[str, str] = field(default_factory=dict)
    """The format to set for each file or topic; `auto` needs no setting."""
    topics: frozenset[str] = frozenset()
    """Which of them are topics."""

    @property
    def records(self) -> int:
        """How many records were looked at."""
        return sum(one.records for one in self.found)

    @property
    def understood(self) -> int:
        """How many are read by a shape, including proposed ones."""
        own = sum(one.understood for one in self.proposals)
        return own + sum(one.records - one.unread for one in self.found if one.shape != OWN)

    @property
    def is_helpful(self) -> bool:
        """Whether most of the records are read, and framed ones have their registry."""
        framed = sum(
            one.records for one in self.found if one.shape == FRAMED and AVRO in self.formats.values()
        )
        return self.records > 0 and (self.understood + framed) * 2 >= self.records

    def to_json(self) -> dict[str, Value]:
        """Return everything, with each proposal as text and what it makes of the first records."""
        return {
            "sources": [
                {
                    "name": part.name,
                    "records": part.records,
                    "whole": part.is_whole,
                    **(
                        {}
                        if part.looks_like is None
                        else {"looks_like": part.looks_like, "remedy": part.remedy}
                    ),
                }
                for part in self.parts
            ],
            "records": self.records,
            "understood": self.understood,
            "shapes": [
                {
                    "shape": one.shape,
                    "records": one.records,
                    "unread": one.unread,
                    "sources": one.parts,
                    **({} if one.reason is None else {"reason": one.reason, "first": one.place}),
                }
                for one in self.found
            ],
            "lost": [{"shape": shape, "field": name, "records": count} for shape, name, count in self.lost],
            "formats": self.formats,
            "notes": self.notes,
            "proposals": [_proposal(one) for one in self.proposals],
        }


def _proposal(made: Proposal) -> dict[str, Value]:
    return {
        "name": made.name,
        "yaml": made.text,
        "fields": made.entries,
        "records": made.records,
        "understood": made.understood,
        "not_understood": [
            {"reason": why, "records": count, "first": place} for why, count, place in made.reasons
        ],
        "first": [{"place": place, "records": list(told(records))} for place, records in made.first],
    }


def told(records: list[Record]) -> Iterator[Value]:
    """Yield records in Hookline's own form; for a dead letter its reason."""
    for one in records:
        yield {"dead_letter": one.reason} if isinstance(one, Invalid) else orjson.loads(native_line(one))


def sniff(
    sample: StreamSample,
    config: Path | None = None,
    name: str | None = None,
    *,
    own_for_all: bool = False,
    registry: str | None = None,
) -> Sniffed:
    """Analyse a sample. config: a directory whose custom shapes are tried after the built-in ones.

    own_for_all: treat every record as unknown, even if a shape reads it. registry: the URL of the Schema
    Registry for framed records; None: as pipeline.yaml says for their topics. name: of the proposed shape; by
    default that of the first file or topic with unknown records. Raises UsageError for an invalid name.
    """
    notes: list[str] = []
    own = _own_shapes(config, notes)
    taken = {*own, *(() if config is None else own_names(config))}
    if name is not None:
        check_name(name, taken)
    registries = Registries(registry, config)
    notes += registries.learn(sample.records)
    recognised = [recognise(one, own, registries.of(one)) for one in sample.records]
    settle(recognised)
    for one in recognised if own_for_all else ():
        if one.value is not None and one.shape != NO_OBJECT:
            one.shape, one.is_read = OWN, False
    mine = [one for one in recognised if one.shape == OWN]
    proposals: list[Proposal] = []
    names: dict[str, str] = {}
    for held in apart(mine):
        stem = _stem(held[0].sampled.part)
        parts = list(dict.fromkeys(one.sampled.part for one in held))
        origin = ", ".join("standard input" if part == "-" else Path(part).name for part in parts[:3])[:40]
        proposal = propose(held, name or _free_name(stem, taken), stem, origin)
        if proposal is not None:
            proposals.append(proposal)
            taken.add(proposal.name)
            names |= dict.fromkeys(parts, proposal.name)
    found = _count(recognised)
    sniffed = Sniffed(list(sample.parts.values()), found, proposals, lost(recognised), notes)
    notes += timeless(recognised)
    sniffed.formats = _formats(recognised, names, notes)
    sniffed.topics = frozenset(
        one.sampled.part
        for one in recognised
        if one.sampled.part not in sample.parts or sample.parts[one.sampled.part].is_topic
    )
    return sniffed


def check_name(name: str, taken: set[str]) -> None:
    """Raise UsageError for a name that a new shape cannot have."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"`{name}` cannot be a shape's name: want small letters, digits, - and _, e.g. shop")
    if name in BY_NAME or name == RECORDING:
        raise UsageError(f"`{name}` is the name of a built-in shape: give yours another one")
    if name in taken:
        raise UsageError(f"there is a shape `{name}` already: give yours another name")


def write(config: Path, proposal: Proposal) -> Path:
    """Write a proposed shape into a config directory; return its file. Never overwrites: UsageError."""
    path = config / SHAPES / f"{proposal.name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_text(path, proposal.text, anew=True)
    except FileExistsError:
        raise UsageError(f"{path} is there already: name another one, or take it away first") from None
    return path


def _own_shapes(config: Path | None, notes: list[str]) -> Mapping[str, Shape]:
    if config is None or not (config / SHAPES).is_dir():
        return {}
    try:
        return read_formats(config, JobDefaults()).named
    except ConfigError as error:
        told = str(error).splitlines()[0]
        notes.append(f"the shapes of {config} were not tried, since there is an error in them: {told}")
        return {}


def _stem(part: str) -> str:
    stem = NAMELESS if part == "-" else Path(part).name
    while any(stem.lower().endswith(end) and len(stem) > len(end) for end in _ENDS):
        stem = stem[: stem.rindex(".")]
    return stem


def _free_name(stem: str, taken: set[str]) -> str:
    bare = re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_")[:40] or NAMELESS
    names = [bare, *(f"{bare}-{number}" for number in range(2, 1000))]
    return next(
        one for one in names if one not in taken and one not in BY_NAME and one not in (RECORDING, "stdin")
    )


def _count(recognised: list[Recognised]) -> list[Found]:
    found: dict[str, Found] = {}
    for one in recognised:
        row = found.setdefault(one.shape, Found(one.shape))
        row.records += 1
        row.parts[one.sampled.part] = row.parts.get(one.sampled.part, 0) + 1
        if not one.is_read:
            row.unread += 1
            if row.reason is None:
                row.reason, row.place = one.reason, one.sampled.place
    return sorted(found.values(), key=lambda row: -row.records)


def _formats(recognised: list[Recognised], own: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    """Return the format of each file or topic: the only shape of its records, or `auto` where that does."""
    shapes: dict[str, dict[str, int]] = {}
    for one in recognised:
        name = one.shape if one.shape != OWN else own.get(one.sampled.part)
        is_read = one.is_read or one.shape == OWN
        if one.shape == FRAMED and one.schema is not None:
            name, is_read = AVRO, True
        elif one.registry is not None and name is not None:
            name = f'{{avro: {{registry: "{one.registry}", then: {name}}}}}'
        elif one.schema is not None and name is not None:
            name = f"{{json_schema: {{then: {name}}}}}"
        if is_collected(one.sampled.origin.source):
            continue  # its lines say it themselves
        if name is not None and is_read and name not in (TOMBSTONE, FRAMED):
            of = shapes.setdefault(one.sampled.part, {})
            of[name] = of.get(name, 0) + 1
    formats: dict[str, str] = {}
    for part, of in shapes.items():
        most = max(of, key=lambda one: of[one])
        formats[part] = "auto" if len(of) > 1 and of.keys() <= {*NAMES, "auto"} else most
        if len(of) > 1 and formats[part] != "auto":
            others = ", ".join(f"{count:,} of `{name}`" for name, count in of.items() if name != most)
            notes.append(
                f"{part} holds records of several shapes, and has one `format`: under `{most}` those of the "
                f"others ({others}) are dead letters, until a custom shape reads them or they get a "
                "file or a topic of their own"
            )
    return formats
