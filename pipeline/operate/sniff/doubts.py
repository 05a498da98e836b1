"""What a shape may miss in a record it can read: objects that are dropped, times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from pipeline.model.json import Value, leaves
from pipeline.model.records import Event, Invalid
from pipeline.operate.sniff.recognise import Recognised, read_by
from pipeline.recording.native_lines import native_line

_MEANT: Final = frozenset({"integrations", "context", "_metadata"})
"""Fields that vendors use internally."""
_MAY_LOSE: Final = ("native", "segment", "heap", "posthog")
_LOOKED_FOR_LOSS: Final = 200


def lost(recognised: Sequence[Recognised]) -> list[tuple[str, str, int]]:
    """Return the objects that a shape reads nothing from, though it reads their record."""
    seen: dict[tuple[str, str], list[bool]] = {}
    for one in [one for one in recognised if one.is_read and one.shape in _MAY_LOSE][:_LOOKED_FOR_LOSS]:
        if type(one.value) is not dict:
            continue
        good = [each for each in read_by(one.sampled, one.shape) if not isinstance(each, Invalid)]
        kept = set().union(*(_texts(orjson.loads(native_line(each))) for each in good))
        for name, inner in one.value.items():
            if name not in _MEANT and type(inner) is dict and (inside := _texts(inner)):
                seen.setdefault((one.shape, name), []).append(inside.isdisjoint(kept))
    return [(shape, name, sum(gone)) for (shape, name), gone in seen.items() if sum(gone) * 2 > len(gone)]


def timeless(recognised: Sequence[Recognised]) -> Iterator[str]:
    """Yield the shapes most of whose events have no time, not even a broker's."""
    seen: dict[str, list[bool]] = {}
    for one in [one for one in recognised if one.is_read and one.shape in _MAY_LOSE][:_LOOKED_FOR_LOSS]:
        for each in read_by(one.sampled, one.shape):
            if isinstance(each, Event):
                seen.setdefault(one.shape, []).append(each.time is None)
    for shape, lacking in seen.items():
        if sum(lacking) * 2 > len(lacking):
            yield (
                f"`{shape}` finds no time in {sum(lacking):,} of {len(lacking):,} events: where they have "
                "one under another name, `--own` proposes a shape that reads it"
            )


def _texts(value: Value) -> set[str]:
    """Return everything in a value that is no object and no list, as text."""
    return {str(one) for _, one in leaves(value) if one is not None and not isinstance(one, (dict, list))}
