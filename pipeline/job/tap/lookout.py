"""Everything people may see of one process of a job: its taps, samples and recent attempts."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.compile.snapshot import Snapshot
from pipeline.decode.formats import Formats
from pipeline.deliver.lanes.onlookers import Attempts
from pipeline.job.story import Chosen
from pipeline.job.tap.samples import Samples
from pipeline.job.tap.taps import Taps
from pipeline.model.records import Record
from pipeline.sources.chunk import RawChunk
from pipeline.telemetry import log

_log = log.get("tap")


class Lookout:
    """In memory only: lost with the process."""

    def __init__(self) -> None:
        self.taps = Taps()
        self.samples = Samples()
        self.attempts = Attempts()

    def chunk(
        self,
        raw: RawChunk,
        formats: Formats,
        records: Sequence[Record],
        chosen: Sequence[Chosen],
        snapshot: Snapshot,
    ) -> None:
        """Take a chunk after select."""
        try:
            self.samples.saw(raw, formats)
        except Exception as error:  # observing must never end the job
            _log.error("a sample cannot be kept", exc_info=error)
        if self.taps.of_lines is not None:
            self.taps.lines(raw, formats, records, chosen, snapshot)
