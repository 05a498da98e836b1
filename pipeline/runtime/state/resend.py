"""Warns before a new state directory re-reads, and so re-sends, topics that its group has already read."""

from __future__ import annotations

from dataclasses import replace

from pipeline.config.job import PipelineConfig
from pipeline.config.models.installation.source import KafkaSource as KafkaModel
from pipeline.config.models.installation.source import Side
from pipeline.model.errors import UsageError
from pipeline.runtime.state.directory import META
from pipeline.telemetry import log as logging

log = logging.get(__name__)

ASK_SECS = 5.0
"""How long the group's coordinator may take to answer."""


def would_resend(config: PipelineConfig) -> str | None:
    """Say what the job's group has already read and the job would read again; None where there is nothing.

    Asks the brokers only where the state directory is new and `start` is `earliest`. Raises HooklineError
    where they refuse.
    """
    source = config.source
    if not isinstance(source, KafkaModel) or source.start != "earliest":
        return None
    if (config.state / META).exists():
        return None
    from pipeline.kafka.admin import KafkaAdmin, Unanswered
    from pipeline.kafka.client import KafkaSettings

    sides: dict[str, Side] = {
        name: one.side or ("users" if name in source.users else "events")
        for name, one in source.topics.items()
    }
    settings = replace(KafkaSettings.of(source, sides=sides), users=())
    if not settings.topics:
        return None
    admin = KafkaAdmin(settings)
    topics: dict[str, int] = {}
    for name, topic in admin.topics().items():
        try:
            committed = admin.group_offsets(name, topic.partitions, ASK_SECS)
        except Unanswered:
            # A job needs no coordinator, so it is not held up by one that is away.
            log.warning("whether the group has read before could not be asked", group=source.group)
            return None
        read = sum(
            max(0, offset - admin.find(name, index, "earliest")) for index, offset in committed.items()
        )
        if read:
            topics[name] = read
    if not topics:
        return None
    return (
        f"{config.state} is a new state directory, but group `{source.group}` has committed offsets of "
        f"{', '.join(topics)}: {sum(topics.values()):,} records that were read before would be read again, "
        "and what they fire would be sent again"
    )


def refuse_without_consent(config: PipelineConfig) -> None:
    """Raise UsageError where a start would send everything again, unless `--yes` was given."""
    resend = would_resend(config)
    if resend is not None:
        raise UsageError(
            f"{resend}. Is `state` the right path? `--yes` (or HOOKLINE_YES=1) sends everything again, "
            "`start: latest` (or a time) under `source.kafka` begins there"
        )
