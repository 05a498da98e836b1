"""Reads ordinary records, which yield one event, in one step; leaves unusual ones to decode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pipeline.decode.mapped.conditions import Predicate
from pipeline.decode.mapped.entries import Entry
from pipeline.decode.mapped.fast_path.writing import Read, write_read
from pipeline.decode.work import nothing
from pipeline.language.record_paths import RECORD
from pipeline.model.records import Event, Origin

Plain = Callable[[bytes, Origin, "int | None"], "Event | None"]

_read = msgspec.json.Decoder(dict[str, Any]).decode


def compile_plain(entries: Sequence[Entry]) -> Plain | None:
    """Return the reader; None where no entry yields one event from the record's fields alone."""
    ways: list[tuple[Predicate | None, Read | None]] = []
    for entry in entries:
        if entry.judge is not None and not entry.judge.of_record:
            break
        member = entry.only_event
        is_plain = member is not None and all(path.root == RECORD for path in entry.paths)
        ways.append(
            (
                None if entry.judge is None else entry.judge.predicate,
                write_read(member) if member is not None and is_plain else None,
            )
        )
        if entry.judge is None:
            break
    if not any(read for _, read in ways):
        return None
    fixed = tuple(ways)
    event, user = nothing()

    def plain(line: bytes, origin: Origin, received_at: int | None) -> Event | None:
        try:
            record = _read(line)
            scope = {RECORD: record}
            for holds, read in fixed:
                if holds is None or holds(event, user, scope):
                    return None if read is None else read(record, origin, received_at)
        except Exception:
            return None  # decode reports what is wrong with it, a fault of ours included
        return None

    return plain
