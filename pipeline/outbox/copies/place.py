"""Where copies of dead letters go, beside the state directory, which keeps the letters.

At least once: a letter that was copied when the job ended may be copied again, under the same key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipeline.outbox.codec import DeadLetter


class NotCopied(Exception):
    """A place does not take copies now; the text is the reason."""


class Copies(Protocol):
    """Where copies go. Used by one thread."""

    def copy(self, letters: Sequence[DeadLetter]) -> None:
        """Return when every copy is safe. Raises NotCopied: then all of them are to be given once more."""

    def close(self) -> None:
        """Let go; never raises."""
