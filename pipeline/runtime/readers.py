"""The readers of a job's source, as its config says."""

from __future__ import annotations

from typing import Any

from pipeline.config.job import PipelineConfig
from pipeline.config.job_models import JsonlSource
from pipeline.context import ReaderFactory
from pipeline.model.errors import ConfigError
from pipeline.sources.jsonl import Recording
from pipeline.sources.reader import Reader

RECORDING = "recording"
"""Name of a recording's one partition; it does not depend on its files."""


class Recordings:
    """One partition, however many files there are."""

    def __init__(self, source: JsonlSource) -> None:
        self._source = source

    def list_partitions(self) -> list[str]:
        """Return the one partition."""
        return [RECORDING]

    def open(self, name: str, position: Any) -> Reader:
        """Return the recording at the position."""
        source = self._source
        return Recording(
            source.paths or (),
            events=source.events or (),
            users=source.users or (),
            follow=source.follow,
            name=name,
            resume=position,
        )


def make_readers(config: PipelineConfig) -> ReaderFactory:
    """Return what makes the readers; contacts nobody yet. Raises ConfigError."""
    source = config.source
    if source is None:
        raise ConfigError(
            "there is nothing to read: pipeline.yaml has no `source`, and --source is not given"
        )
    if isinstance(source, JsonlSource):
        return Recordings(source)
    # librdkafka takes a tenth of a second to load: only for those who read topics.
    from pipeline.sources.kafka import KafkaSource
    from pipeline.sources.kafka_client import KafkaSettings

    return KafkaSource(KafkaSettings.of(source, max_wait_secs=config.join_max_wait_secs))
