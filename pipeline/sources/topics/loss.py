"""Why a reader ends if its topics no longer have what it was to read, and when it may raise that.

What was handed out and is not durable yet would be read again after the job's end, and is not there any more:
so it becomes durable first. Nobody gets anything new meanwhile.
"""

from __future__ import annotations

from pipeline.model.errors import Fatal, StateError
from pipeline.sources.topics.stream import Stream


class Loss:
    """The loss of one reader; at first there is none."""

    def __init__(self) -> None:
        self._error: StateError | Fatal | None = None
        self._drains: Stream | None = None
        """What was fetched of this stream leaves first: it exists nowhere else."""
        self._durable: int | None = None
        """Records that are safe on disk; None if nobody reports it (`state rebuild`), and none is awaited."""

    def durable(self, handed_out: int) -> None:
        """Note how many records are safe on disk."""
        self._durable = handed_out

    def met(self, error: StateError | Fatal, stream: Stream | None = None) -> None:
        """End reading with this error.

        stream: the one that cannot go on; None where its topic is gone.
        """
        # Two of them might wait for each other for ever; and the end of a topic that is gone is unknown.
        self._drains = stream if self._error is None else None
        self._error = error
        if stream is not None:
            stream.is_over = True
            stream.consumer.unassign()

    def holds(self, handed_out: int) -> bool:
        """True if nothing more may leave. Raises the error once it may."""
        if self._error is None or (self._drains is not None and self._drains.holds):
            return False
        if self._durable is None or self._durable >= handed_out:
            raise self._error
        return True
