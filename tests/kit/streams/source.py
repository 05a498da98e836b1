"""One source partition alone: real parts around it, and nothing that could hold it up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from pipeline.job.control.drain import Drain
from pipeline.job.control.failure import Failure
from pipeline.job.control.lull import Lull
from pipeline.job.control.pace import Pace
from pipeline.job.control.pressure import Pressure
from pipeline.job.control.pulse import Pulse
from pipeline.job.control.rest import Rest
from pipeline.job.settings import JobSettings
from pipeline.job.steps.chunks import Intake
from pipeline.job.steps.epoch_end import EpochEnd
from pipeline.job.steps.source import SourcePartition
from pipeline.job.steps.stretch import Stretches
from pipeline.sources.chunk import Position
from pipeline.sources.reader import Reader
from tests.kit.delivery.engine import RecordingEngine

ONE_VERSION: Final = SimpleNamespace(
    latest=SimpleNamespace(hash="v", text=SimpleNamespace(to_bytes=bytes), says_formats=False),
    enter=lambda *_: None,
    named=lambda *_: None,
)
"""In the place of `Versions`: a config that stays as it is."""


def open_partition(
    name: str, reader: Reader, state: Path, versions: Any = ONE_VERSION, *, resumed: Position | None = None
) -> SourcePartition:
    """Return the partition of a job of one shard, whose chunks come as they were read.

    versions: as `Versions`, of any text. resumed: the stored position that the reader was opened at.
    """

    def select(chunk: Intake) -> list[tuple[str, Any]]:
        return [(name, chunk)]

    engine = RecordingEngine()
    settings = JobSettings(state, shards=1, disk_reserve_bytes=0)
    pressure, drain = Pressure(engine.busy, state, 0), Drain(engine, 1, [name])
    rest = Rest(lambda: False, engine)
    return SourcePartition(
        name, reader, resumed, select, settings, versions, Stretches(), pressure, drain, {}, Failure(),
        Pulse(1.0), Pace(1.0), rest, EpochEnd(rest, [name]), Lull(lambda: False), lambda: False,
    )  # fmt: skip
