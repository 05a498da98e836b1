"""A reader wrapped around another one, which may hold back what that one has read."""

from __future__ import annotations

from pathlib import Path

from pipeline.decode.formats import Formats
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.reader import Reader


class HoldingReader:
    """Base of such readers: delegates the rest. Subclasses say what is held, how long, and the position."""

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
        """That of the inner reader."""
        return self._reader.progress

    @property
    def expects_answer(self) -> bool:
        """True while the inner reader expects an answer; held records take longer than a millisecond."""
        return self._held is None and self._reader.expects_answer

    @property
    def gather_secs(self) -> float:
        """That of the inner reader."""
        return self._reader.gather_secs

    def is_still(self) -> bool:
        """True where nothing is held, and the inner reader is still."""
        return self._held is None and self._reader.is_still()

    @property
    def hears(self) -> bool:
        """True where nothing is held, and the inner reader hears."""
        return self._held is None and self._reader.hears

    def hear(self, secs: float) -> None:
        """Delegates to the inner reader."""
        self._reader.hear(secs)

    def keep_trail(self, folder: Path) -> None:
        """Keep the inner reader's trail: holding back does not change the order."""
        self._reader.keep_trail(folder)

    def under(self, formats: Formats) -> None:
        """Use these shapes from the next line on, here and in the inner reader."""
        self._formats = formats
        self._reader.under(formats)

    def durable(self, position: Position) -> None:
        """Tell the inner reader; held records come after every position that was returned."""
        self._reader.durable(position)

    def close(self) -> None:
        """Close the inner reader."""
        self._reader.close()
