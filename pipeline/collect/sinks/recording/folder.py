"""A collector's folder: its owner, its segments, and where the next line goes.

    DIR/.collect.json                           its id, and what the closed segments hold (`Known`)
    DIR/.lock                                   held by the collector
    DIR/.readers/STATE-ID                       how far each job has read
    DIR/00000000000000000000.rec.jsonl.zst      closed: complete since it has this name
    DIR/00000000000000104212.rec.jsonl          growing, or closed and not compressed yet

A segment is named after the number of its first line. Numbers grow and are never given twice, whatever a
crash or a failed sync has taken back: a reader that saw a line before it was lost never takes another one for
it. So there may be gaps between segments.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson

from pipeline.model.errors import Fatal, StateError
from pipeline.model.files.disk import is_in_place, locked, make_folder, remove_partials, replace_durably
from pipeline.sources.files.finding.inputs import COLLECTORS

PLAIN, PACKED, PARTIAL = ".rec.jsonl", ".rec.jsonl.zst", ".rec.jsonl.zst.partial"
GAP = 1 << 20
"""Numbers left out after a crash: more than one group of lines can have, and only one is ever unsynced."""
GAPS = 1_000
"""So many are told to readers, the latest."""
_DIGITS = 20


@dataclass(slots=True)
class Known:
    """What `.collect.json` says."""

    id: str
    """Eight hex digits, made with the folder: the name of the lines' source."""
    next_line: int = 0
    """No closed segment has a line with this number or a later one."""
    time_ms: int = 0
    """No closed segment has a later line."""
    closed: dict[int, int] = field(default_factory=dict)
    """Closed segments that are not compressed yet: by first line, how many bytes of them count."""
    gaps: list[list[int]] = field(default_factory=list)
    """Numbers that no line has, for readers: from the first that is missing to the one that follows."""
    clean: bool = True
    """Whether the collector that wrote this had ended, so that nothing came after it."""


class Folder:
    """A folder that is ours alone until `close`. Raises StateError where it is another one's, or damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changing = threading.Lock()
        """Held while `known` and the files that it speaks of change."""
        try:
            make_folder(path)
            self._lock = self._locked()
        except OSError as error:
            raise Fatal(f"cannot keep events in {path}: {error.strerror}. {remedy(error)}") from None
        try:
            remove_partials(path)
            self.known = self._load()
        except OSError as error:
            self.close()
            raise Fatal(f"cannot read {path}: {error.strerror}. {remedy(error)}") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let it go."""
        os.close(self._lock)

    def is_ours(self) -> bool:
        """Return whether another collector would find our lock."""
        return is_in_place(self._lock, self._lock_file)

    def hold(self) -> None:
        """Be the one collector of what stands in this place now: the lock goes with who moves or removes it.

        Raises OSError where the folder is not there, StateError where another one has it or had it meanwhile:
        it may have given our next numbers to lines of its own.
        """
        if self.is_ours():
            return
        lock = self._locked()
        try:
            there = self._load() if (self.path / COLLECTORS).exists() else self.known
            if there.id != self.known.id or there.next_line > self.known.next_line:
                raise StateError(
                    f"another collector has kept events in {self.path} meanwhile: start this one again"
                )
        except BaseException:
            os.close(lock)
            raise
        os.close(self._lock)
        self._lock = lock

    @property
    def _lock_file(self) -> Path:
        return self.path / ".lock"

    def _locked(self) -> int:
        try:
            return locked(self._lock_file)
        except BlockingIOError:
            raise StateError(
                f"another collector keeps events in {self.path}: stop it, or give this one another folder "
                "(`collect.to.recording`)"
            ) from None

    def plain(self, first: int) -> Path:
        """Return where a segment grows."""
        return self.path / f"{first:0{_DIGITS}}{PLAIN}"

    def packed(self, first: int) -> Path:
        """Return where it stands when it is compressed."""
        return self.path / f"{first:0{_DIGITS}}{PACKED}"

    def partial(self, first: int) -> Path:
        """Return where it is compressed."""
        return self.path / f"{first:0{_DIGITS}}{PARTIAL}"

    def closed_at(self, first: int) -> float:
        """Return when a segment was closed, in unix seconds."""
        for path in (self.packed(first), self.plain(first)):
            with contextlib.suppress(FileNotFoundError):
                return path.stat().st_mtime
        return inf

    def firsts(self) -> list[int]:
        """Return the segments that are there, the oldest first."""
        found = set()
        for name in os.listdir(self.path):
            digits = name[:_DIGITS]
            if name[_DIGITS:] in (PLAIN, PACKED) and digits.isascii() and digits.isdecimal():
                found.add(int(digits))
        return sorted(found)

    def skip(self, missing: int, following: int) -> None:
        """Note down that no line has these numbers; `save` has to follow before the next segment is made."""
        if missing < following:
            self.known.gaps = [*self.known.gaps, [missing, following]][-GAPS:]

    def save(self) -> None:
        """Put what is known on disk. Raises OSError."""
        known = self.known
        said = {
            "version": 1,
            "id": known.id,
            "next_line": known.next_line,
            "time_ms": known.time_ms,
            "closed": {str(first): size for first, size in known.closed.items()},
            "gaps": known.gaps,
            "clean": known.clean,
        }
        replace_durably(self.path / COLLECTORS, orjson.dumps({**said, "crc": _crc(said)}))

    def _load(self) -> Known:
        path = self.path / COLLECTORS
        try:
            said = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            if self.firsts():
                raise StateError(
                    f"{path} is not there, but events were kept in {self.path} before: put it back, or "
                    "collect into another folder (jobs can still read this one)"
                ) from None
            return Known(secrets.token_hex(4))
        except ValueError as error:
            raise self._damaged(str(error)) from None
        try:
            if said["version"] != 1:
                raise StateError(
                    f"{path} is of version {said['version']}, 1 is known: a newer Hookline wrote it"
                )
            if said.pop("crc") != _crc(said):
                raise ValueError("its checksum is another one")
            closed = {int(first): size for first, size in said["closed"].items()}
            known = Known(said["id"], said["next_line"], said["time_ms"], closed, said["gaps"], said["clean"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(repr(error)) from None
        return known

    def _damaged(self, reason: str) -> StateError:
        return StateError(
            f"{self.path / COLLECTORS} is damaged ({reason}): put it back from a copy, or collect into "
            "another folder (jobs can still read this one)"
        )


def remedy(error: OSError) -> str:
    """Return what a person can do about it."""
    other = "or name another folder (`collect.to.recording`)"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"Make a little room on its disk (once it runs, what all jobs have read goes by itself), {other}"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Let this user write there, {other}"
    return f"See to that disk, {other}"


def _crc(said: dict[str, Any]) -> int:
    return crc32(orjson.dumps(said, option=orjson.OPT_SORT_KEYS))
