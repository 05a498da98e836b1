"""Creates the readers of a job's source from its config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.config.job import PipelineConfig
from pipeline.config.models.installation.source import JsonlSource, Side
from pipeline.config.models.installation.source import KafkaSource as KafkaModel
from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.decode.framed.schemas import FOLDER, SCHEMAS
from pipeline.model.errors import ConfigError, Fatal
from pipeline.model.files.disk import make_folder
from pipeline.runtime.state.directory import reader_name
from pipeline.sources.chunk import Position
from pipeline.sources.files.reading.heads import FILE as HEADS
from pipeline.sources.files.recording import Recording
from pipeline.sources.reader import Reader, Source
from pipeline.store.folders import source_folder
from pipeline.telemetry.log import get

if TYPE_CHECKING:
    from pipeline.sources.schemas.fetcher import Fetcher

_log = get("source")

RECORDING = "recording"
"""Name of a recording's only partition; it does not depend on its files."""


class Recordings:
    """A source with one partition, however many files there are."""

    def __init__(self, config: PipelineConfig, source: JsonlSource, formats: Formats, *, aside: bool) -> None:
        """aside: it is not followed, and in the folder of a collector nobody is told what has been read."""
        self._follow = source.follow and not aside
        self._collected = config.collected if self._follow and config.collected in source.inputs() else None
        self._reader = None if aside else lambda: reader_name(config.state)
        self._source, self._written, self._formats = source, config.written, formats
        self._state = None if aside else config.state

    def list_partitions(self) -> list[str]:
        """Return the one partition."""
        return [RECORDING]

    def open(self, name: str, position: Position | None) -> Reader:
        """Return the recording at the position."""
        source, folder = self._source, self._collected
        if folder is not None:  # it may not exist yet
            try:
                make_folder(Path(folder))
            except OSError as error:
                raise Fatal(
                    f"{folder}: the collector's folder is not there and cannot be made ({error.strerror}): "
                    "make it, or mend `collect.to.recording`"
                ) from None
            _log.info("following what the collector keeps", folder=folder)
        recording = Recording(
            source.inputs(),
            events=source.events or (),
            users=source.users or (),
            written=self._written,
            collected=() if folder is None else (folder,),
            reader=self._reader,
            follow=self._follow,
            name=name,
            resume=position,
            heads=None if self._state is None else source_folder(self._state, name) / HEADS,
        )
        recording.under(self._formats)
        return recording


class Remembered:
    """A source that also lists the partitions its job has known before: a resume needs them all.

    Its source decides whether there is anything to read for one that is gone.
    """

    def __init__(self, source: Source, known: Iterable[str]) -> None:
        self._source = source
        self._known = tuple(known)

    def list_partitions(self) -> list[str]:
        """Return the source's partitions, and those known before."""
        found = self._source.list_partitions()
        return found + sorted(set(self._known) - set(found))

    def open(self, name: str, position: Position | None) -> Reader:
        """Return the source's reader."""
        return self._source.open(name, position)


def make_readers(
    config: PipelineConfig,
    *,
    aside: Literal["record", "replay"] | None = None,
    lives: Mapping[str, tuple[int, str]] | None = None,
    formats: Formats = ALL_AUTO,
) -> Source:
    """Return what makes the readers; contacts nobody yet. Raises ConfigError.

    aside: what reads beside the live job. Topics are then read under a group of its own, by a replay from
    their beginning to their present end; files are not followed. lives: which topics the live job has seen
    recreated (`known_lives`). formats: which shape reads what at first.
    """
    source = config.source
    if source is None:
        raise ConfigError(
            "there is nothing to read: pipeline.yaml has no `source`, and --source is not given"
        )
    if isinstance(source, JsonlSource):
        return Recordings(config, source, formats, aside=aside is not None)
    # librdkafka takes a tenth of a second to load: only for jobs that read topics.
    from pipeline.kafka.client import KafkaSettings
    from pipeline.sources.topics.kafka_source import KafkaSource

    join = config.file.join
    settings = KafkaSettings.of(
        source, max_wait_secs=join.max_wait_secs, settle_secs=join.settle_secs, aside=aside,
        sides=sides_of(source, formats),
    )  # fmt: skip
    is_together = join.partitions == "together" or (
        join.partitions is None
        and len(settings.topics) > 1
        and any(formats.of(f"{topic}/0").committed is not None for topic in settings.topics)
    )
    state = config.state if aside is None else None
    return KafkaSource(replace(settings, lives=lives, together=is_together, state=state), formats)


def sides_of(source: KafkaModel, formats: Formats) -> dict[str, Side]:
    """Return what each topic of `topics` holds: by its own setting, by the list it is in, or by its shape."""
    return {
        name: topic.side
        or (
            "users"
            if name in source.users
            else "events"
            if name in source.events
            else formats.of(f"{name}/0").side
        )
        for name, topic in source.topics.items()
    }


def with_schemas(
    source: Source, config: PipelineConfig, base: Path, formats: Formats, folder: Path
) -> tuple[Source, Fetcher | None]:
    """Return a source that waits for its records' schemas, and what fetches them, to be closed.

    base: the config directory. folder: where the schemas are kept. Without registries: the source itself.
    Stored schemas are read in any case: earlier config versions may have had registries.
    """
    SCHEMAS.look_in(folder, config.state / FOLDER)
    if isinstance(config.source, JsonlSource):
        named = config.source
        SCHEMAS.look_beside(*map(Path, (*named.inputs(), *(named.events or ()), *(named.users or ()))))
    if not formats.have_registries:
        return source, None
    # aiohttp takes a tenth of a second to load: only for jobs with a registry.
    from pipeline.sources.schemas.awaiting import AwaitingSource
    from pipeline.sources.schemas.fetcher import Fetcher

    fetcher = Fetcher(folder, base)
    return AwaitingSource(source, fetcher, formats), fetcher
