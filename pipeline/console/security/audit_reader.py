"""Reads the audit log backwards: newest lines first, filtered, a page at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from pipeline.model.json import Value
from pipeline.model.process.private import NEVER_FOLLOWED

BLOCK: Final = 64 << 10
MOST_LINE: Final = 64 << 10
LOOK_SECS: Final = 0.5
"""How long to search for matching lines; further ones are on the next page."""


@dataclass(slots=True, frozen=True)
class Wanted:
    """Which lines; "" matches any."""

    action: str = ""
    who: str = ""
    target: str = ""
    """A substring of it."""
    result: str = ""
    since: str = ""
    """As in the lines."""
    until: str = ""
    """The same; a line of this time does not match."""

    def fits(self, line: dict[str, Value]) -> bool:
        """Return whether a line matches."""
        at = str(line.get("at", ""))
        return (
            self.action in ("", line.get("action"))
            and self.who in ("", line.get("who", ""))
            and self.target.lower() in str(line.get("target", "")).lower()
            and self.result in ("", line.get("result"))
            and at >= self.since
            and (not self.until or at < self.until)
        )


@dataclass(slots=True, frozen=True)
class AuditPage:
    """Lines, newest first."""

    lines: list[dict[str, Value]] = field(default_factory=list)
    next: int | None = None
    """Where the next page begins; None: there is none."""


def read_page(path: Path, wanted: Wanted, before: int | None = None, most: int = 50) -> AuditPage:
    """Return the last matching lines that begin before this place in the file."""
    found: list[dict[str, Value]] = []
    ends = time.monotonic() + LOOK_SECS
    at = None
    for at, raw in _backwards(path, before):
        try:
            line = orjson.loads(raw)
        except ValueError:
            continue  # left by a crash
        if isinstance(line, dict) and wanted.fits(line):
            found.append(line)
        if at and (len(found) >= most or time.monotonic() > ends):
            return AuditPage(found, at)
    return AuditPage(found, None)


def _backwards(path: Path, before: int | None) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its place."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | NEVER_FOLLOWED)
    except OSError:
        return
    try:
        size = os.fstat(descriptor).st_size
        end = size if before is None else max(0, min(before, size))
        rest = b""
        while end > 0:
            start = max(0, end - BLOCK)
            rest = os.pread(descriptor, end - start, start) + rest
            end = start
            lines = rest.split(b"\n")
            # The first one may have begun before this block.
            rest = lines[0] if start else b""
            at = start + (len(lines[0]) + 1 if start else 0)
            places = []
            for raw in lines[1 if start else 0 :]:
                places.append((at, raw))
                at += len(raw) + 1
            yield from ((place, raw) for place, raw in reversed(places) if raw)
            if len(rest) > MOST_LINE:
                return  # not our audit log
    except OSError:
        return
    finally:
        os.close(descriptor)
