"""A reader wrapped around another one, which may hold back what that one has read."""

from __future__ import annotations

from pathlib import Path

from pipeline.decode.formats import Formats
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.reader import Reader


class HoldingReader:
    """What such a reader passes on. Its heirs say what is held, how long, and where it stands meanwhile."""

    def __init__(self, reader: Reader, formats: Formats) -> None:
        """formats: which shape reads what at first."""
        self._reader = reader
        self._formats = formats
        self._held: RawChunk | None = None
        self._position = reader.position

    @property
    def name(self) -> str:
        """The partition's name."""
        return self._reader.name

    @property
    def done(self) -> bool:
        """True when nothing will ever come any more, and nothing is held back."""
        return self._held is None and self._reader.done

    @property
    def progress(self) -> tuple[int, int]:
        """That of the reader behind."""
        return self._reader.progress

    @property
    def expects_answer(self) -> bool:
        """True while the reader behind is worth asking; what is held takes longer than a millisecond."""
        return self._held is None and self._reader.expects_answer

    @property
    def gather_secs(self) -> float:
        """That of the reader behind."""
        return self._reader.gather_secs

    def is_still(self) -> bool:
        """True where nothing is held, and the reader behind is still."""
        return self._held is None and self._reader.is_still()

    @property
    def hears(self) -> bool:
        """True where nothing is held, and the reader behind hears."""
        return self._held is None and self._reader.hears

    def hear(self, secs: float) -> None:
        """As the reader behind."""
        self._reader.hear(secs)

    def keep_trail(self, folder: Path) -> None:
        """Keep the trail of the reader behind: holding back changes no order."""
        self._reader.keep_trail(folder)

    def under(self, formats: Formats) -> None:
        """From the next line on these shapes, here and behind."""
        self._formats = formats
        self._reader.under(formats)

    def durable(self, position: Position) -> None:
        """Tell the reader behind; what waits here lies after every position that was told."""
        self._reader.durable(position)

    def close(self) -> None:
        """Close the reader behind."""
        self._reader.close()
