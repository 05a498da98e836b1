"""`source.kafka.start`: a place in the topics, by name or by time."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config.job import load_pipeline
from pipeline.config.models.installation.source import KafkaSource
from pipeline.model.errors import ConfigError


def loaded(tmp_path: Path, start: str) -> KafkaSource:
    text = f"source: {{kafka: {{brokers: 'k:9092', events: [e], start: {start}}}}}\n"
    (tmp_path / "pipeline.yaml").write_text(text)
    source = load_pipeline(tmp_path, environ={}).require().source
    assert isinstance(source, KafkaSource)
    return source


@pytest.mark.parametrize(
    ("start", "meaning"),
    [
        ("earliest", "earliest"),
        ("latest", "latest"),
        ("2026-01-01T00:00:00Z", 1767225600000),
        ("1767225600000", 1767225600000),
    ],
)
def test_start_is_a_word_or_a_time(tmp_path: Path, start: str, meaning: object) -> None:
    assert loaded(tmp_path, start).start == meaning


def test_another_word_is_an_error_that_names_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected `earliest`, `latest` or a time"):
        loaded(tmp_path, "some day")
