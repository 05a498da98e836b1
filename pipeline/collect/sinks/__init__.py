"""Where collected events are kept: a folder of recorded lines, or a Kafka topic."""

from __future__ import annotations

from pipeline.collect.batch import Sink
from pipeline.collect.sinks.recording.sink import RecordingSink
from pipeline.config.models.installation.collect import CollectSection


def open_sink(section: CollectSection) -> Sink:
    """Return the sink that the config says, ready to keep; to be used from one event loop.

    Raises StateError where another collector has the folder or it is damaged, ConfigError where a topic or
    its brokers do not let us write, Fatal where the disk refuses or no broker answers.
    """
    if section.to.kafka is None:
        return RecordingSink(section)
    # Only here: whoever keeps a recording needs no Kafka client.
    from pipeline.collect.sinks.kafka import KafkaSink

    return KafkaSink(section)
