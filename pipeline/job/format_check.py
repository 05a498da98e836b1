"""Warns when most of what a job reads cannot be parsed: a wrong format must not go unnoticed."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from pipeline.model.records import Invalid, Record
from pipeline.telemetry import log
from pipeline.telemetry.happenings import NOT_UNDERSTOOD

LEAST = 50
"""Records that must be read before it warns; what is wrong with fewer is reported at the end of the run."""

_log = log.get("source")


class FormatCheck:
    """One per process. Warns once, as soon as most of the records so far are invalid."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read = self._invalid = 0
        self._first: str | None = None
        self._told = False

    def saw(self, read: int, invalid: int, records: Iterable[Record]) -> None:
        """Take the counts of a chunk, and its records where some of them are invalid."""
        if self._told:
            return
        with self._lock:
            self._read += read
            self._invalid += invalid
            if invalid and self._first is None:
                self._first = next((one.reason for one in records if isinstance(one, Invalid)), None)
            if self._read < LEAST or 2 * self._invalid <= self._read or self._told:
                return
            self._told = True
        NOT_UNDERSTOOD.happened(
            _log,
            self._invalid,
            invalid=self._invalid,
            read=self._read,
            first_reason=self._first,
            remedy="`hookline sniff FILE` says which shape the records have: set it as `format`",
        )
