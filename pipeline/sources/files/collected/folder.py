"""A collector's folder as its readers see it: its owner, its segments, what was left out."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from pipeline.model.errors import Fatal, StateError, reason
from pipeline.sources.files.finding.inputs import COLLECTORS

_NAME = re.compile(r"([0-9]{20})\.rec\.jsonl(\.gz|\.zst)?")
_ID = re.compile(r"[0-9a-f]{8}")

SETTLED_SECS = 0.05
"""A folder changed this shortly before it was listed may have changed again at the same instant
of its clock."""
AGAIN_SECS = 1.0
"""It is listed at least this often: clocks of network file systems are coarser."""


@dataclass(slots=True, frozen=True)
class Gap:
    """Numbers without a line: a crash or a failed sync removed them."""

    first: int
    next: int


class Folder:
    """Listed repeatedly; it may not exist yet. Raises Fatal where it cannot be read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._listed: dict[int, list[str]] = {}
        self._firsts: list[int] = []
        self._changed_ns = -1
        self._listed_at = 0.0
        self._is_settled = False

    def read_id(self) -> str | None:
        """Return its collector's eight digits, None before there was one. Raises StateError."""
        said = self._said()
        if said is None:
            return None
        id = said.get("id")
        if said.get("version") != 1 or type(id) is not str or not _ID.fullmatch(id):
            raise StateError(
                f"{self.path}/{COLLECTORS}: this version does not understand it (version 1 with an id is "
                "known). Put it back from a copy, or update Hookline where a newer collector wrote it"
            )
        return id

    def gaps(self) -> list[Gap] | None:
        """Return the numbers without a line, ascending; None where the collector does not say."""
        said = (self._said() or {}).get("gaps")
        if type(said) is not list:
            return None
        try:
            return [Gap(int(first), int(after)) for first, after in said]
        except (TypeError, ValueError):
            return None

    def _said(self) -> dict[str, object] | None:
        path = os.path.join(self.path, COLLECTORS)
        try:
            with open(path, "rb") as file:
                said = orjson.loads(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Fatal(f"{path}: cannot be read: {reason(error)}") from error
        except ValueError as error:
            raise StateError(f"{path}: is damaged ({error}). Put it back from a copy") from None
        return said if type(said) is dict else {}

    def firsts(self) -> list[int]:
        """Return the numbers of the segments' first lines, ascending, from their names."""
        self._look()
        return self._firsts

    def files(self, first: int) -> list[str]:
        """Return the paths of a segment, that of the plain file first; none where it does not exist."""
        self._look()
        return [os.path.join(self.path, name) for name in self._listed.get(first, ())]

    def is_same(self) -> bool:
        """Return whether it is certainly unchanged since it was listed."""
        if not self._is_settled:
            return False
        try:
            return os.stat(self.path).st_mtime_ns == self._changed_ns
        except OSError:
            return False

    def forget(self) -> None:
        """List it again: a file that existed does not any more."""
        self._changed_ns = -1

    def _look(self) -> None:
        try:
            changed_ns = os.stat(self.path).st_mtime_ns
            now = time.time()
            if (
                self._is_settled
                and changed_ns == self._changed_ns
                and 0 <= now - self._listed_at < AGAIN_SECS
            ):
                return
            names = os.listdir(self.path)
        except FileNotFoundError:
            changed_ns, now, names = -1, 0.0, []
        except OSError as error:
            raise Fatal(f"{self.path}: cannot be read: {reason(error)}") from error
        self._changed_ns, self._listed_at = changed_ns, now
        self._is_settled = abs(now - changed_ns / 1e9) > SETTLED_SECS
        self._listed = _segments(names)
        self._firsts = sorted(self._listed)


def reaches(gaps: Iterable[Gap], line: int, first: int) -> bool:
    """Return whether no line has a number from ``line`` on up to the one before ``first``."""
    for gap in gaps:
        if gap.first <= line < gap.next:
            line = gap.next
    return line >= first


def _segments(names: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name in sorted(names):  # the plain one before the compressed one
        match = _NAME.fullmatch(name)
        if match is not None:
            found.setdefault(int(match[1]), []).append(name)
    return found
