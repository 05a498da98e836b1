"""The last step: copies of dead letters; the letters themselves stay in the shards' stores."""

from __future__ import annotations

from typing import Any

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from pipeline.job.context import Job
from pipeline.outbox.codec import DeadLetter

PARTITION = "copies"


class Copies(FixedPartitionedSink[list[DeadLetter], None]):
    """One partition; only a partitioned sink takes part in an epoch (DESIGN 8.1)."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def list_parts(self) -> list[str]:
        """Return the one partition."""
        return [PARTITION]

    def part_fn(self, item_key: str) -> int:
        """Send everything there."""
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> CopiesPartition:
        """Open the copies' writer."""
        return CopiesPartition(self.job)


class CopiesPartition(StatefulSinkPartition[list[DeadLetter], None]):
    """Writes the copies; flushed before the epoch can commit, so each is there at least once."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.writer: Any = job.copies

    def write_batch(self, values: list[list[DeadLetter]]) -> None:
        """Write the letters and wait until they are safe."""
        with self.job.guard():
            if self.writer is not None:
                for letters in values:
                    for letter in letters:
                        self.writer.write(letter)
                self.writer.flush()

    def snapshot(self) -> None:
        """Keep nothing: what must be copied is in the shards' stores."""

    def close(self) -> None:
        """Let go of the writer; must never raise."""
        if self.writer is not None:
            self.writer.close()
