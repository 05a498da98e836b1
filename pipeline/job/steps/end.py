"""The last step: nothing comes here, but Bytewax wants one."""

from __future__ import annotations

from typing import Never

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

PARTITION = "copies"
"""What it was once for: recovery states name it."""


class EndStep(FixedPartitionedSink[Never, None]):
    """One partition; only a partitioned sink takes part in an epoch (DESIGN 8.1)."""

    def list_parts(self) -> list[str]:
        """Return the one partition."""
        return [PARTITION]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> EndPartition:
        """Return the end."""
        return EndPartition()


class EndPartition(StatefulSinkPartition[Never, None]):
    """The end."""

    def write_batch(self, values: list[Never]) -> None:
        """Take nothing."""

    def snapshot(self) -> None:
        """Keep nothing."""
