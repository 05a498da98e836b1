"""Copies of dead letters in a file, and what pipeline.yaml says of where they go."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.config.models.installation.job import DeadLettersSection
from pipeline.config.models.installation.source import JsonlSource, KafkaSource
from pipeline.model.errors import Fatal
from pipeline.model.files.disk import append_all, is_in_place, make_folder, sync
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.copies.place import Copies, NotCopied
from pipeline.outbox.reading.dead_letter_json import to_json
from pipeline.telemetry import log as logging
from pipeline.telemetry.metrics import count

log = logging.get(__name__)


class JsonlCopies:
    """Appends one JSON object per line to a file; one that was moved away or removed is begun anew.

    Raises Fatal for a file that cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = self._opened()
        except OSError as error:
            raise Fatal(f"cannot write copies of dead letters to {path}: {error.strerror}") from None

    def _opened(self) -> int:
        """Return the file; that there is a new one is on disk, too."""
        make_folder(self._path.parent)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if not os.fstat(file).st_size:
            sync(self._path.parent)
        return file

    def copy(self, letters: Sequence[DeadLetter]) -> None:
        """Append lines and sync them to disk. Raises NotCopied."""
        lines = b"".join([to_json(letter) + b"\n" for letter in letters])
        try:
            if not is_in_place(self._file, self._path):  # it was rotated
                rotated, self._file = self._file, self._opened()
                os.close(rotated)
            fcntl.flock(self._file, fcntl.LOCK_EX)  # every process of a job appends
            try:
                append_all(self._file, self._end_of_torn_line() + lines)
                os.fsync(self._file)
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        except OSError as error:
            raise NotCopied(f"{self._path}: {error.strerror}") from None
        count("dead_letter_copies_total", len(letters), result="ok")

    def _end_of_torn_line(self) -> bytes:
        """Return what keeps the next line from being glued to one that was written in part."""
        size = os.fstat(self._file).st_size
        return b"\n" if size and os.pread(self._file, 1, size - 1) != b"\n" else b""

    def close(self) -> None:
        """Close the file."""
        try:
            os.close(self._file)
        except OSError as error:
            log.warning("the file of dead letters did not close", path=str(self._path), reason=error.strerror)


class BothCopies:
    """Copies to each of several places."""

    def __init__(self, places: Sequence[Copies]) -> None:
        self._places = places
        self._left = list(places)
        """Those that have not taken what is being copied."""

    def copy(self, letters: Sequence[DeadLetter]) -> None:
        """Return when every copy is safe everywhere. Raises NotCopied."""
        while self._left:
            self._left[0].copy(letters)
            del self._left[0]
        self._left = list(self._places)

    def close(self) -> None:
        """Let go of all places."""
        for place in self._places:
            place.close()


def open_copies(
    letters: DeadLettersSection, source: JsonlSource | KafkaSource | None = None
) -> Copies | None:
    """Return where `dead_letters` of pipeline.yaml sends copies; None where it names nothing.

    Without brokers of its own a topic is one of the source's brokers, with the source's settings beneath its
    own. Raises ConfigError for a topic or settings that cannot be used, Fatal for a file or brokers out of
    reach.
    """
    places: list[Copies] = []
    if letters.jsonl is not None:
        places.append(JsonlCopies(Path(letters.jsonl.path)))
    if letters.kafka is not None:
        # librdkafka takes a tenth of a second to load: only for those who write to topics.
        from pipeline.outbox.copies.kafka_copies import KafkaCopies

        brokers, settings = letters.kafka.brokers or "", letters.kafka.settings
        if not brokers and isinstance(source, KafkaSource):
            brokers, settings = source.brokers, {**source.settings, **settings}
        places.append(KafkaCopies(brokers, letters.kafka.topic, settings))
    if len(places) > 1:
        return BothCopies(places)
    return places[0] if places else None
