"""Where collected events are kept: a folder of recorded lines, or a Kafka topic."""

from __future__ import annotations

from pipeline.collect.batch import Sink
from pipeline.collect.sinks.kafka import KafkaSink, KafkaSinkSettings
from pipeline.collect.sinks.recording.settings import RecordingSettings
from pipeline.collect.sinks.recording.sink import RecordingSink

__all__ = ["KafkaSinkSettings", "RecordingSettings", "open_sink"]


def open_sink(settings: RecordingSettings | KafkaSinkSettings) -> Sink:
    """Return the sink that the settings say, ready to keep; to be used from one event loop.

    Raises StateError where another collector has the folder or it is damaged, ConfigError where a topic or
    its brokers do not let us write, Fatal where the disk refuses or no broker answers.
    """
    if isinstance(settings, KafkaSinkSettings):
        return KafkaSink(settings)
    return RecordingSink(settings)
