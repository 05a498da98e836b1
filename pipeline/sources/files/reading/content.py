"""Whether a file's lines are records or recorded messages: decided once, by its name or format."""

from __future__ import annotations

from pipeline.language.formats import RECORDING
from pipeline.sources.files.lines.recorded import PREFIX, is_recording, refuse_unnamed
from pipeline.sources.files.reading.entry import Entry, Kind


class Content:
    """What the file at this path contains."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_recorded: bool | None = True if is_recording(path) else None
        self._is_of_old = False
        """True where an older version has read it, which decided by the first line whether it is
        a recording."""

    def resume(self, entry: Entry, head: bytes = b"") -> None:
        """Continue as it was begun. head: the beginning of an uncompressed file."""
        if self._is_recorded:
            return
        if entry.kind in ("plain", "messages"):
            self._is_recorded = entry.kind == "messages"
        self._is_of_old = not entry.kind
        if self._is_of_old and head[:1] == b"{":
            self._is_recorded = head.startswith(PREFIX)

    def is_recorded(self, first: bytes, format: str) -> bool:
        """Return whether the lines are messages. first: of the lines there are; called until it is known.

        Raises ConfigError where neither name nor format agree with the first line.
        """
        if self._is_recorded is None:
            says_so = format == RECORDING
            if not says_so and self._is_of_old:
                says_so = first.startswith(PREFIX)
            elif not says_so:
                refuse_unnamed(self._path, first)
            self._is_recorded = says_so
        return self._is_recorded

    @property
    def kind(self) -> Kind:
        """Its value in a position."""
        if self._is_recorded is None:
            return "" if self._is_of_old else "new"
        return "messages" if self._is_recorded else "plain"
