"""Where collected events are kept: a folder of recorded lines, or a Kafka topic."""

from __future__ import annotations

from pipeline.collect.batch import Sink
from pipeline.collect.sinks.recording.settings import RecordingSettings
from pipeline.collect.sinks.recording.sink import RecordingSink

__all__ = ["RecordingSettings", "open_sink"]


def open_sink(settings: RecordingSettings) -> Sink:
    """Return the sink that the settings say, ready to keep; to be used from one event loop.

    Raises StateError where another collector has the folder or it is damaged; Fatal where the disk refuses.
    """
    return RecordingSink(settings)
