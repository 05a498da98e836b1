"""The replaceable parts of one process of a job: engine, readers, clock, watcher."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from pipeline.config.job import PipelineConfig
from pipeline.decode.formats import Formats
from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.http.choose import connection_limit
from pipeline.job.assembly import DeliveryService
from pipeline.job.replay import Replay
from pipeline.job.settings import wall_clock
from pipeline.language.secrets import Secrets
from pipeline.runtime.readers import make_readers
from pipeline.sources.chunk import CHUNK_LINES
from pipeline.sources.paced import PacedSource
from pipeline.sources.reader import Source


def make_engine(
    config: PipelineConfig, config_dir: Path, share: float, on_gone: Callable[[str, str], None]
) -> DeliveryService:
    """Return the delivery engine, not started. share: this process's part of the job's rates."""
    partitions = sum(1 for _ in config.state.glob("identity/*"))
    stores = ceil(share * (config.file.shards + max(1, partitions)))
    return DeliveryEngine(
        allow=config.file.network.allow,
        secrets=Secrets(os.environ, config_dir),
        share=share,
        on_gone=on_gone,
        max_flying=connection_limit(stores),
    )


def make_source(config: PipelineConfig, replay: Replay | None, formats: Formats) -> Source:
    """Return the job's source; contacts nobody yet. Raises ConfigError."""
    if replay is None:
        return make_readers(config, formats=formats)
    readers = make_readers(config, aside="replay", lives=replay.lives, formats=formats)
    return readers if replay.speed is None else PacedSource(readers, replay.speed)


@dataclass(slots=True, frozen=True)
class Parts:
    """The real parts; a test replaces those it wants to observe or control."""

    engine: Callable[[PipelineConfig, Path, float, Callable[[str, str], None]], DeliveryService] = make_engine
    source: Callable[[PipelineConfig, Replay | None, Formats], Source] = make_source
    clock: Callable[[], int] = wall_clock
    """Unix milliseconds."""
    chunk_lines: int = CHUNK_LINES
    """Lines usually read as one chunk."""
    watches: bool = True
    """False: edits of the config take effect at the next start."""


REAL = Parts()
