"""Where collected events are kept: a folder of recorded lines, or a Kafka topic."""

from __future__ import annotations

from pipeline.collect.batch import Sink
from pipeline.collect.sinks.recording.sink import RecordingSink
from pipeline.collect.sinks.settings import KafkaSinkSettings, RecordingSettings

__all__ = ["KafkaSinkSettings", "RecordingSettings", "open_sink"]


def open_sink(settings: RecordingSettings | KafkaSinkSettings) -> Sink:
    """Return the sink that the settings say, ready to keep; to be used from one event loop.

    Raises StateError where another collector has the folder or it is damaged, ConfigError where a topic or
    its brokers do not let us write, Fatal where the disk refuses or no broker answers.
    """
    if isinstance(settings, KafkaSinkSettings):
        # Only here: whoever keeps a recording needs no Kafka client.
        from pipeline.collect.sinks.kafka import KafkaSink

        return KafkaSink(settings)
    return RecordingSink(settings)
