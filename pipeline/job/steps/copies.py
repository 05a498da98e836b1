"""The last step: copies of dead letters; the letters themselves stay in the shards' stores."""

from __future__ import annotations

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from pipeline.job.control.failure import Failure
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.copies.copies import Copies

PARTITION = "copies"


class CopiesStep(FixedPartitionedSink[list[DeadLetter], None]):
    """One partition; only a partitioned sink takes part in an epoch (DESIGN 8.1)."""

    def __init__(self, copies: Copies | None, failure: Failure) -> None:
        self.copies = copies
        self.failure = failure

    def list_parts(self) -> list[str]:
        """Return the one partition."""
        return [PARTITION]

    def part_fn(self, item_key: str) -> int:
        """Send everything there."""
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> CopiesPartition:
        """Open the copies' writer."""
        return CopiesPartition(self.copies, self.failure)


class CopiesPartition(StatefulSinkPartition[list[DeadLetter], None]):
    """Writes the copies; flushed before the epoch can commit, so each is there at least once."""

    def __init__(self, writer: Copies | None, failure: Failure) -> None:
        self.writer = writer
        self.failure = failure

    def write_batch(self, values: list[list[DeadLetter]]) -> None:
        """Write the letters and wait until they are safe."""
        with self.failure:
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
