"""The model of config/pipeline.yaml: how the whole job runs (DESIGN 10)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.models.field_types import (
    Duration,
    DurationOrZero,
    Names,
    Networks,
    Section,
    Size,
    at_most,
    few,
    lasting,
)
from pipeline.config.models.installation.collect import CollectSection
from pipeline.config.models.installation.console import ConsoleSection
from pipeline.config.models.installation.source import Brokers, Settings, SourceSection, TopicName
from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.model.sizes import USUAL, Sizes

MAX_SHARDS = 64
"""As many keys are known that Bytewax spreads evenly (job/steps/keys.py)."""


class JoinSection(Section):
    """How events wait for user properties."""

    max_wait_secs: Annotated[Duration, lasting("max_wait", "30d")] | None = Field(
        default=None,
        validation_alias="max_wait",
        description="Let an event pass after this long without progress of the users side; null: never.",
    )
    settle_secs: Annotated[DurationOrZero, at_most("settle", 3600.0, "1h")] | None = Field(
        default=None,
        validation_alias="settle",
        description="With two topics: hold each record until the clock is this far past its time, for "
        "records of the other topic that arrive later but precede it. null: 2s if a topic has `format: "
        "debezium`, 50ms if one has CreateTime, else 0.",
        examples=["100ms"],
    )
    partitions: Literal["apart", "together"] | None = Field(
        default=None,
        description="Which partitions are read in one order. `apart`: those with the same number, each "
        "number separately; the topics must be co-partitioned. `together`: all of them, by one process. "
        "null: `together` if a topic has `format: debezium`, whose keys are not those of events, else "
        "`apart`.",
        examples=["together"],
    )
    max_merged: int = Field(
        default=USUAL.merged,
        ge=0,
        le=10_000_000,
        description="Most ids per source partition that alias calls merge into another user's. They are "
        "kept in memory, about 300 bytes each; pairs of over 512 characters count several times. Beyond "
        "this, an alias only links the anonymous id, and is a dead letter.",
    )


class NetworkSection(Section):
    """Which addresses may be reached."""

    allow: Annotated[Networks, few("allow", 1_000, ": join them to larger networks")] = Field(
        default_factory=list,
        json_schema_extra={"maxItems": 1_000},
        description="Networks that may be reached although they are private or local.",
        examples=[["127.0.0.0/8"]],
    )


class DeadLettersKafka(Section):
    """Copies of dead letters to a topic."""

    topic: TopicName = Field(description="The topic.")
    brokers: Brokers | None = Field(
        default=None, description="Bootstrap servers; by default the source's, with the source's `settings`."
    )
    settings: Settings = Field(
        default_factory=dict, description="Passed to librdkafka; they override those of the source."
    )


class DeadLettersJsonl(Section):
    """Copies of dead letters to a file."""

    path: str = Field(
        min_length=1, description="The file; lines are appended.", examples=["dead-letters.jsonl"]
    )


class DeadLettersSection(Section):
    """How long dead letters are kept in the state directory, and where copies of them go."""

    max_bytes: Annotated[Size, Field(ge=1 << 20)] = Field(
        default=4 << 30,
        description="Space for all of them. Beyond it, the oldest of the webhook with the most are dropped "
        "and counted (records that belong to no webhook count as one webhook).",
        examples=["20GiB"],
    )
    max_age_secs: Annotated[Duration, lasting("max_age")] | None = Field(
        default=None,
        validation_alias="max_age",
        description="Older ones are dropped, and counted; null: none is dropped for its age.",
        examples=["30d"],
    )
    kafka: DeadLettersKafka | None = Field(default=None, description="A Kafka topic.")
    jsonl: DeadLettersJsonl | None = Field(default=None, description="A file of JSON lines.")

    def quota(self) -> tuple[int, int | None]:
        """Return the bytes and the milliseconds they are kept for."""
        return self.max_bytes, None if self.max_age_secs is None else int(self.max_age_secs * 1000)


class LogSection(Section):
    """What the job prints."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level shown."
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto", description="`auto`: console on a terminal, JSON lines elsewhere."
    )


class LimitsSection(Section):
    """How large things may be. What is larger is a dead letter; an update of a user is refused."""

    record_bytes: Annotated[Size, Field(ge=1024, le=16 << 20)] = Field(
        default=USUAL.record_bytes,
        validation_alias="record",
        description="Size of one line of a recording, or one message.",
        examples=["4MiB"],
    )
    members: int = Field(
        default=USUAL.members, ge=1, le=1_000_000, description="Records in one envelope such as `batch`."
    )
    id_chars: int = Field(
        default=USUAL.id_chars,
        ge=64,
        le=65_536,
        validation_alias="id",
        description="Characters of an event's id, a user's id and an anonymous one.",
    )
    user_properties: int = Field(
        default=USUAL.user_properties, ge=1, le=1_000_000, description="Properties of one user."
    )
    user_bytes: Annotated[Size, Field(ge=1024, le=64 << 20)] = Field(
        default=USUAL.user_bytes,
        validation_alias="user",
        description="All properties of one user, as JSON.",
        examples=["1MiB"],
    )


class PipelineFile(Section):
    """How the job runs. Every field has a default but the source."""

    source: SourceSection | None = Field(
        default=None, description="Where records come from.", examples=[{"jsonl": {"paths": ["shop.jsonl"]}}]
    )
    state: str = Field(
        default="./state", min_length=1, description="The state directory; relative: beside this file."
    )
    epoch_secs: Annotated[Duration, lasting("epoch", "1h")] = Field(
        default=1.0, validation_alias="epoch", description="Time between two commits."
    )
    shards: int = Field(
        default=8,
        ge=1,
        le=MAX_SHARDS,
        description="How many parts users are divided into; fixed for a state directory.",
    )
    disk_reserve_bytes: Annotated[Size, at_most("disk_reserve", 1 << 50, "1048576GiB")] = Field(
        default=256 << 20,
        validation_alias="disk_reserve",
        description="Reading pauses while the state directory's disk has less room than this.",
        examples=["256MiB"],
    )
    join: JoinSection = Field(default_factory=JoinSection, description="Events and user properties.")
    limits: LimitsSection = Field(default_factory=LimitsSection, description="How large things may be.")
    network: NetworkSection = Field(default_factory=NetworkSection, description="The network guard.")
    exclude: Names = Field(
        default_factory=list,
        description="Labels that no webhook fires for, unless it says `include_excluded`.",
        examples=[["internal"]],
    )
    delivery: DeliverySettings = Field(
        default_factory=DeliverySettings, description="Defaults for every webhook's `delivery`."
    )
    dead_letters: DeadLettersSection = Field(
        default_factory=DeadLettersSection, description="Copies of dead letters."
    )
    log: LogSection = Field(default_factory=LogSection, description="Log.")
    collect: CollectSection | None = Field(
        default=None,
        description="Events over HTTP, for `hookline collect` and `hookline up`.",
        examples=[{"keys": "any"}],
    )
    console: ConsoleSection = Field(
        default_factory=ConsoleSection, description="Web pages, for `hookline console` and `hookline up`."
    )

    def sizes(self) -> Sizes:
        """Return `limits` and `join.max_merged` as the job's steps take them."""
        most = self.limits
        return Sizes(
            most.record_bytes,
            most.members,
            most.id_chars,
            most.user_properties,
            most.user_bytes,
            self.join.max_merged,
        )
