"""What the processes of one job tell each other: whether to pause, and whether everything is sent.

A small memory-mapped file in the state directory. Processes on other hosts, with state directories of their
own, are not seen: nobody waits for them.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

from pipeline.model.files.disk import allocate
from pipeline.model.process.private import NEVER_FOLLOWED

MAX_PROCESSES = 256
REPORT_SECS = 0.01
"""Maximum age of a report ..."""
IDLE_REPORT_SECS = 0.05
"""... and where nothing has changed for a while."""

_SLOT = struct.Struct("<IHH")
"""The launch of the job that the process belongs to, whether it is behind, how many shards are drained."""


class Peers:
    """The view of one process. job: identifies this launch of the job, the same in all its processes."""

    def __init__(self, state: Path, process: int, processes: int, job: str) -> None:
        self._own = process
        self._others = [number for number in range(processes) if number != process]
        self._mark = crc32(job.encode()) | 1
        allocate(state / "peers", MAX_PROCESSES * _SLOT.size)
        descriptor = os.open(state / "peers", os.O_RDWR | NEVER_FOLLOWED)
        try:
            self._memory = mmap.mmap(descriptor, MAX_PROCESSES * _SLOT.size)
        finally:
            os.close(descriptor)
        self.report(behind=False, drained=0)

    def report(self, *, behind: bool, drained: int) -> None:
        """Publish this process's state."""
        _SLOT.pack_into(self._memory, self._own * _SLOT.size, self._mark, behind, drained)

    def paused(self) -> bool:
        """Return whether another process is behind."""
        return any(behind for behind, _ in self._reports())

    def are_drained(self, own: int, shards: int) -> bool:
        """Return whether all shards of the job are drained, ``own`` of them in this process.

        True where another process is not seen.
        """
        reports = list(self._reports())
        if len(reports) < len(self._others):
            return True
        return own + sum(drained for _, drained in reports) >= shards

    def _reports(self) -> Iterator[tuple[int, int]]:
        for number in self._others:
            mark, behind, drained = _SLOT.unpack_from(self._memory, number * _SLOT.size)
            if mark == self._mark:
                yield behind, drained

    def close(self) -> None:
        """Close the file."""
        self._memory.close()


class PeerReporter:
    """A thread that keeps the report of a process up to date."""

    def __init__(self, peers: Peers, look: Callable[[], tuple[bool, int]]) -> None:
        self._peers = peers
        self._look = look
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Report that this process holds nobody up any more."""
        self._stop.set()
        self._thread.join()
        self._peers.report(behind=False, drained=0)
        self._peers.close()

    def _run(self) -> None:
        secs, before = REPORT_SECS, None
        while not self._stop.wait(secs):
            behind, drained = report = self._look()
            self._peers.report(behind=behind, drained=drained)
            secs = min(secs * 1.02, IDLE_REPORT_SECS) if report == before else REPORT_SECS
            before = report
