"""The model of `source:`: recordings and topics, and which shape reads them."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from pipeline.config.models.field_types import Names, NamesOf, Section, checked, list_of, only_one, problem
from pipeline.config.models.installation.registry import AvroFormat, JsonSchemaFormat, kind_of_shape
from pipeline.config.models.shape import InlineShape
from pipeline.language.formats import FORMATS
from pipeline.model.times import parse_time
from pipeline.model.words import did_you_mean

_STARTS: Final = {
    **dict.fromkeys(("beginning", "oldest", "first", "smallest"), "earliest"),
    **dict.fromkeys(("end", "newest", "last", "largest", "now"), "latest"),
}
"""What others call where a topic begins to be read."""


def _start(value: object) -> object:
    if value in ("earliest", "latest"):
        return value
    try:
        return parse_time(value)
    except ValueError as error:
        word = str(value).lower()
        close = _STARTS.get(word) or did_you_mean(word, ("earliest", "latest"), likeness=0.8)
        if close is not None:
            raise ValueError(
                f"`{value}` is none of earliest, latest, a time: did you mean `{close}`?"
            ) from None
        raise ValueError(f"{error}; expected `earliest`, `latest` or a time") from None


_BROKER = re.compile(
    r"((?:plaintext|ssl|sasl_plaintext|sasl_ssl)://)?([\w.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?",
    re.IGNORECASE,
)
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}", re.ASCII)


def _brokers(value: object) -> object:
    if not isinstance(value, (str, list)) or not all(isinstance(one, str) for one in value):
        return value  # pydantic says that it must be a text
    parts = [part.strip() for part in ",".join(value if isinstance(value, list) else [value]).split(",")]
    for part in parts:
        found = _BROKER.fullmatch(part)
        if found is None or not 0 < int(found[3] or 9092) < 1 << 16:
            told = f"`{part}` is no broker" if part else "a broker is missing"
            raise ValueError(f"{told} (write host:port, or a list of them)")
    return ",".join(parts)


def topic_name(name: str) -> str:
    """Return the name of a topic. Raises ValueError for one that no broker has."""
    if not _TOPIC.fullmatch(name):
        parts = re.split("[,; ]+", name.strip()[:200])
        several = f": for several write [{', '.join(parts)}]" if len(parts) > 1 else ""
        raise ValueError(f"`{name[:60]}` is no name of a topic (letters, digits, `.`, `_` and `-`){several}")
    return name


TopicName = Annotated[str, AfterValidator(checked(topic_name))]

Brokers = Annotated[
    str,
    BeforeValidator(checked(_brokers)),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "title": "host:port or list",
        }
    ),
]
"""``host:port``, several with commas as librdkafka reads them; a list is joined to that."""

Settings = dict[str, str | bool | int | float | None]
"""Names and values of librdkafka's settings."""

Start = Annotated[
    Literal["earliest", "latest"] | int,
    BeforeValidator(checked(_start)),
    WithJsonSchema(
        {
            "anyOf": [{"enum": ["earliest", "latest"]}, {"type": ["string", "number"]}],
            "title": "earliest, latest or a time",
            "examples": ["earliest", "2026-11-01T00:00:00Z"],
        }
    ),
]
"""``earliest``, ``latest``, or unix milliseconds from any time form."""


def _kind_of_format(value: object) -> str:
    for kind, model in (("avro", AvroFormat), ("json_schema", JsonSchemaFormat)):
        if isinstance(value, model) or (isinstance(value, dict) and kind in value):
            return kind
    return kind_of_shape(value)


ShapeFormat = Annotated[
    Annotated[str, Tag("name"), Field(examples=list(FORMATS))]
    | Annotated[InlineShape, Tag("inline")]
    | Annotated[AvroFormat, Tag("avro")]
    | Annotated[JsonSchemaFormat, Tag("json_schema")],
    Discriminator(_kind_of_format),
]
"""The name of a shape (a built-in one, or a custom one in shapes/), a custom shape itself, or the frame of a
registry around records that such a shape reads."""
Side = Literal["events", "users", "both"]


class TableSettings(Section):
    """How the rows of a table are read, for `format: debezium`."""

    key: Names = Field(
        default_factory=list,
        description="With `format: debezium`: the column with the user's id, or several, joined by `:`. By "
        "default the one column of the message's key.",
        examples=["id", ["tenant", "id"]],
    )
    exclude: Names = Field(
        default_factory=list,
        description="With `format: debezium`: columns that do not become properties.",
        examples=[["password_hash"]],
    )
    rename: dict[str, str] = Field(
        default_factory=dict,
        description="With `format: debezium`: property names by column.",
        examples=[{"mail": "email"}],
    )
    gives: Literal["user", "event", "both"] = Field(
        default="user",
        validation_alias="as",
        description="With `format: debezium`: a changed row is an update of the `user`, an `event` (such as "
        "`users.updated`, with `properties.before`), or `both`.",
    )


TABLE_SETTINGS = ("key", "exclude", "rename", "as")
"""As pipeline.yaml has them."""


class PathSettings(TableSettings):
    """A path of a recording, with what is said of its files alone."""

    path: str = Field(min_length=1, description="A file, a directory, or `-`.", examples=["shop.jsonl"])
    format: ShapeFormat | None = Field(
        default=None, description="Shape of its records; by default the source's `format`."
    )


class TopicSettings(TableSettings):
    """Settings of a single topic."""

    format: ShapeFormat | None = Field(
        default=None, description="Shape of its records; by default the source's `format`."
    )
    side: Side | None = Field(
        default=None,
        description="What it contains: events wait for `users` and `both`, never for `events`. The default "
        "depends on its shape.",
    )


def _kind_of_path(value: object) -> str:
    return "settings" if isinstance(value, (dict, PathSettings)) else "path"


PathOrSettings = Annotated[
    Annotated[str, Tag("path")] | Annotated[PathSettings, Tag("settings")], Discriminator(_kind_of_path)
]
SourcePaths = Annotated[list[PathOrSettings], list_of(PathOrSettings)]


class JsonlSource(Section):
    """Recordings: files of JSON lines (`.gz`, `.zst` too), directories of them, or `-`."""

    paths: SourcePaths | None = Field(
        default=None,
        description="Files or directories, each as a path or as {path, format}; `-` reads stdin.",
        examples=[["recordings/shop.jsonl.gz"]],
    )
    events: Names | None = Field(default=None, description="Instead of `paths`: files with events.")
    users: Names | None = Field(
        default=None, description="With `events`: files with user updates, merged by time."
    )
    follow: bool = Field(default=False, description="Keep reading as the files grow.")
    format: ShapeFormat = Field(
        default="auto",
        description="Shape of the records: the name of a built-in or custom one, an inline one, or {avro: "
        "..} or {json_schema: ..} around either; `auto` recognises each record. `recording`: the files "
        "contain recorded messages, whatever their names (otherwise only `*.rec.jsonl`, `*.rec.jsonl.gz` "
        "and `*.rec.jsonl.zst` do).",
        examples=["auto", "shop", "recording"],
    )

    def inputs(self) -> list[str]:
        """Return the paths of `paths`."""
        return [one if isinstance(one, str) else one.path for one in self.paths or ()]

    @model_validator(mode="after")
    def _some_paths(self) -> JsonlSource:
        if self.paths is not None and (self.events is not None or self.users is not None):
            raise problem("one-of", "`paths` and `events`/`users` exclude each other: keep one")
        if not self.paths and not self.events and not self.users:
            raise problem("missing-field", "a jsonl source needs `paths`, or `events` and `users`")
        if "" in (*self.inputs(), *(self.events or ()), *(self.users or ())):
            raise problem("wrong-value", "a path is empty: it would be the whole folder of pipeline.yaml")
        return self


class KafkaSource(Section):
    """Kafka topics."""

    brokers: Brokers = Field(
        description="Bootstrap servers: `host:port`, one, a list, or several with commas.",
        examples=["127.0.0.1:9092"],
    )
    events: NamesOf[TopicName] = Field(default_factory=list, description="Topics with events (or with both).")
    users: NamesOf[TopicName] = Field(default_factory=list, description="Topics with user updates.")
    group: str = Field(
        default="hookline",
        min_length=1,
        description="Group under which offsets are committed, for lag tools.",
    )
    start: Start = Field(
        default="earliest",
        description="Where an event topic without a stored offset begins: `earliest`, `latest`, or a broker "
        "time. Topics of user updates always begin at their first record.",
    )
    out_of_range: Literal["error", "earliest", "latest"] = Field(
        default="error", description="What happens if retention has removed the stored offset."
    )
    topics: dict[TopicName, TopicSettings] = Field(
        default_factory=dict,
        description="Topics by name, each with its own `format` and `side`; with or instead of `events` "
        "and `users`.",
        examples=[{"app-events": {"format": "shop"}}],
    )
    format: ShapeFormat = Field(
        default="auto",
        description="Shape of the records: the name of a built-in or custom one, an inline one, or {avro: "
        "..} or {json_schema: ..} around either; `auto` recognises each record.",
        examples=["auto", "shop"],
    )
    settings: Settings = Field(
        default_factory=dict,
        description="Passed to librdkafka: TLS, SASL and tuning.",
        examples=[{"security.protocol": "SASL_SSL", "sasl.password": "${KAFKA_PASSWORD}"}],
    )

    @model_validator(mode="after")
    def _some_topics(self) -> KafkaSource:
        if not self.events and not self.users and not self.topics:
            raise problem("missing-field", "a kafka source needs `events`, `users` or both, or `topics`")
        return self


class SourceSection(Section):
    """Where records come from: one of jsonl and kafka."""

    jsonl: JsonlSource | None = Field(default=None, description="Recordings.")
    kafka: KafkaSource | None = Field(default=None, description="Kafka topics.")

    @model_validator(mode="after")
    def _one_source(self) -> SourceSection:
        only_one(jsonl=self.jsonl, kafka=self.kafka)
        return self
