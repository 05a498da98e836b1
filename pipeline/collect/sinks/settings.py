"""Settings of the sinks: how events are kept, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True, frozen=True)
class RecordingSettings:
    """The folder, and how it is kept. The defaults are those of pipeline.yaml."""

    folder: Path
    dedupe_secs: float = 600.0
    """How long what was kept is known, so that a repeat is not kept again; 0: not at all."""
    order_secs: float = 0.05
    """How long requests of pages wait for others of the same user."""
    segment_bytes: int = 256 << 20
    segment_secs: float = 3600.0
    """How large and how old a segment may grow before the next one is begun."""
    compress: bool = True
    """Whether closed segments are compressed."""
    keep_secs: float = 7 * 86_400.0
    """How long a reader is waited for that does not show itself."""
    retain_secs: float = 86_400.0
    """How long a closed segment stays at least, though all have read it."""
    reserve_bytes: int = 1 << 30
    """Below so much free space nothing is kept any more."""


@dataclass(slots=True, frozen=True)
class KafkaSinkSettings:
    """The topic, and how what is kept there is taken."""

    brokers: str
    topic: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Passed to librdkafka."""
    dedupe_secs: float = 600.0
    """How long what was kept is known, so that a repeat is not kept again; 0: not at all."""
    order_secs: float = 0.05
    """How long requests of pages wait for others of the same user."""
    connect_secs: float = 10.0
    """How long the brokers may take to answer when the collector starts."""
