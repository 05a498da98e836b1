"""Copies of dead letters to a file or a topic, beside the letters that are kept in the state directory.

At least once: a letter counts as copied with the epoch in which `flush` returned, so what a crash leaves
uncertain is written again under the same key.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pipeline.config.models.installation.job import DeadLettersSection
from pipeline.config.models.installation.source import JsonlSource, KafkaSource
from pipeline.model.disk import append_all, is_in_place, make_folder, sync
from pipeline.model.errors import Fatal
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.reading.dead_letter_json import to_json
from pipeline.telemetry import log as logging
from pipeline.telemetry.metrics import count

log = logging.get(__name__)


class Copies(Protocol):
    """Where copies go. Used by one thread."""

    def write(self, letter: DeadLetter) -> None:
        """Take a copy; it is safe when `flush` has returned."""

    def flush(self) -> None:
        """Return when every copy is safe; raises Fatal where that cannot be had."""

    def close(self) -> None:
        """Let go; never raises."""


class JsonlCopies:
    """Appends one JSON object per line to a file; one that was moved away or removed is begun anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[bytes] = []
        self._torn = b""
        try:
            self._open()
        except OSError as error:
            raise Fatal(f"cannot write copies of dead letters to {path}: {error.strerror}") from None

    def _open(self) -> None:
        make_folder(self._path.parent)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._end_torn_line()

    def _end_torn_line(self) -> None:
        """After a crash in the middle of a write the next line must not be glued to the torn one.

        That there is a new file is on disk, too, when this returns.
        """
        size = os.fstat(self._file).st_size
        if not size:
            sync(self._path.parent)
        elif os.pread(self._file, 1, size - 1) != b"\n":
            self._torn = b"\n"

    def write(self, letter: DeadLetter) -> None:
        """Take a copy; it is safe when `flush` has returned."""
        self._waiting.append(to_json(letter) + b"\n")

    def flush(self) -> None:
        """Write what waits and sync it to disk. Raises Fatal where that fails."""
        if not self._waiting:
            return
        try:
            if not is_in_place(self._file, self._path):  # it was rotated
                rotated, self._torn = self._file, b""
                self._open()
                os.close(rotated)
            data = self._torn + b"".join(self._waiting)
            append_all(self._file, data)
            os.fsync(self._file)
        except OSError as error:
            count("dead_letter_copies_total", len(self._waiting), result="error")
            raise Fatal(
                f"cannot write copies of dead letters to {self._path}: {error.strerror}; "
                "nothing is lost, they are kept in the state directory and copied at the next start"
            ) from None
        count("dead_letter_copies_total", len(self._waiting), result="ok")
        self._waiting.clear()
        self._torn = b""

    def close(self) -> None:
        """Close the file."""
        try:
            os.close(self._file)
        except OSError as error:
            log.warning("the file of dead letters did not close", path=str(self._path), reason=error.strerror)


class BothCopies:
    """Writes every copy to each of several places."""

    def __init__(self, places: Sequence[Copies]) -> None:
        self._places = places

    def write(self, letter: DeadLetter) -> None:
        """Take a copy; it is safe when `flush` has returned."""
        for place in self._places:
            place.write(letter)

    def flush(self) -> None:
        """Return when every copy is safe everywhere."""
        for place in self._places:
            place.flush()

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
