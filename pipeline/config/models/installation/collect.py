"""The model of `collect:` in pipeline.yaml: where events come in over HTTP, from whom, and where they go.

Keys and secrets may hold ``${NAME}`` and ``${file:path}``: only the collector puts them in.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from pipeline.config.models.field_types import (
    Duration,
    DurationOrZero,
    Names,
    Section,
    Size,
    WebhookId,
    at_most,
    checked,
    few,
    lasting,
    list_of,
    only_one,
    problem,
)
from pipeline.config.models.installation.source import Brokers, Settings, TopicName
from pipeline.language.addresses import check_origin, is_loopback, split_address

CollectProtocol = Literal["native", "segment", "posthog", "heap", "cloudevents", "mixpanel", "amplitude"]
PROTOCOLS: Final[tuple[CollectProtocol, ...]] = get_args(CollectProtocol)
USUAL_PROTOCOLS: Final = PROTOCOLS[:-2]
"""What a key is for that does not say. The paths of the last two are PostHog's, too: only who names them
means them."""
ANY_ORIGIN: Final = "*"
_SECRET: Final = Field(min_length=1, json_schema_extra={"maxItems": 10})


def _listen(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return value  # pydantic says that it must be a text
    split_address(str(value))
    return str(value)


def _origin(text: str) -> str:
    if text != ANY_ORIGIN:
        check_origin(text)
    return text


Listen = Annotated[
    str,
    BeforeValidator(checked(_listen)),
    WithJsonSchema({"type": ["string", "integer"], "title": "PORT or HOST:PORT"}),
]
"""``PORT`` (this machine only) or ``HOST:PORT``; `split_address` reads it."""
Secrets = Annotated[Names, few("a list of secrets", 10, ": two are enough to rotate them"), _SECRET]
"""One secret, or several while they are rotated."""
Origins = Annotated[
    list[Annotated[str, AfterValidator(checked(_origin))]],
    list_of(str),
    few("origins", 1_000),
]
Protocols = Annotated[
    list[CollectProtocol],
    list_of(CollectProtocol),
    Field(min_length=1),
]


class CollectKafka(Section):
    """A topic that takes what is collected."""

    brokers: Brokers = Field(description="Bootstrap servers.", examples=["127.0.0.1:9092"])
    topic: TopicName = Field(
        min_length=1, description="The topic, for events and updates.", examples=["events"]
    )
    settings: Settings = Field(
        default_factory=dict,
        description="Passed to librdkafka: TLS, SASL and tuning.",
        examples=[{"security.protocol": "SASL_SSL", "sasl.password": "${KAFKA_PASSWORD}"}],
    )


class CollectTo(Section):
    """Where collected events are stored: one of recording and kafka."""

    recording: str | None = Field(
        default=None,
        min_length=1,
        description="A directory that only the collector writes to; relative: beside this file.",
        examples=["./collected"],
    )
    kafka: CollectKafka | None = Field(default=None, description="A Kafka topic.")

    @model_validator(mode="after")
    def _one_sink(self) -> CollectTo:
        only_one(recording=self.recording, kafka=self.kafka)
        if self.recording is None and self.kafka is None:
            raise problem("missing-field", "`to` needs `recording` or `kafka`")
        return self


class CollectKey(Section):
    """A write key, what it may be used for, and from where."""

    key: Secrets = Field(
        description="The write key, API key or token that the SDK sends; a list while it is rotated.",
        examples=["wk_live_1", ["${file:secrets/wk}", "${file:secrets/wk_old}"]],
    )
    origins: Origins = Field(
        default_factory=list,
        description="Pages that may send with it: `scheme://host`, with `:port` if it is not the default "
        "one; `*`: every page. Without any, it is a server's key: requests from pages are refused.",
        examples=[["https://shop.example"]],
    )
    protocols: Protocols = Field(
        default_factory=lambda: list(USUAL_PROTOCOLS),
        description="What it may be used for. `mixpanel` and `amplitude` must be listed explicitly, because "
        "they share paths with PostHog.",
        examples=[["segment", "posthog"]],
    )


class HookVerify(Section):
    """How a webhook shows whose it is: one of these, with its signing secret, or several while it changes."""

    stripe: Secrets | None = Field(default=None, description="Stripe's.", examples=["${STRIPE_SECRET}"])
    github: Secrets | None = Field(default=None, description="GitHub's.", examples=["${GITHUB_SECRET}"])
    shopify: Secrets | None = Field(default=None, description="Shopify's.", examples=["${SHOPIFY_SECRET}"])
    standard_webhooks: Secrets | None = Field(
        default=None, description="Standard Webhooks, Svix: `whsec_` secrets.", examples=["${HOOK_SECRET}"]
    )

    @model_validator(mode="after")
    def _one_way(self) -> HookVerify:
        ways = {name: getattr(self, name) for name in type(self).model_fields}
        only_one(**ways)
        if not any(ways.values()):
            raise problem("missing-field", "`verify` needs one of " + ", ".join(f"`{name}`" for name in ways))
        return self

    @property
    def way(self) -> tuple[str, list[str]]:
        """The scheme's name, and its secrets."""
        return next((name, value) for name in type(self).model_fields if (value := getattr(self, name)))


class CollectHook(Section):
    """A third party's webhooks, at `/hooks/NAME`."""

    verify: HookVerify = Field(
        description="Whose signature they have.", examples=[{"stripe": "${STRIPE_SECRET}"}]
    )
    format: str = Field(
        min_length=1,
        description="The shape that reads them: a custom one in shapes/, or a built-in one.",
        examples=["stripe-events"],
    )


class CollectLimits(Section):
    """How much the collector takes at once."""

    body_bytes: Annotated[Size, Field(ge=1024, le=256 << 20)] = Field(
        default=20 << 20,
        validation_alias="body",
        description="Size of one request, compressed and decompressed.",
    )
    member_bytes: Annotated[Size, Field(ge=1024, le=16 << 20)] = Field(
        default=1 << 20, validation_alias="member", description="Size of one record in it."
    )
    members: int = Field(default=5_000, ge=1, le=100_000, description="Records in one request.")
    in_flight_bytes: Annotated[Size, Field(ge=1 << 20, le=16 << 30)] = Field(
        default=64 << 20,
        validation_alias="in_flight",
        description="All that is received but not yet stored. Beyond it, requests are held, then refused.",
    )
    hold_secs: Annotated[DurationOrZero, at_most("hold", 5.0, "5s (SDKs give up after ten)")] = Field(
        default=5.0, validation_alias="hold", description="How long a request is held before it is refused."
    )
    connections: int = Field(default=10_000, ge=1, le=1_000_000, description="Open at the same time.")

    @model_validator(mode="after")
    def _nested(self) -> CollectLimits:
        for inner, outer in (("member", "body"), ("body", "in_flight")):
            if getattr(self, f"{inner}_bytes") > getattr(self, f"{outer}_bytes"):
                raise problem("wrong-value", f"`{inner}` must be no more than `{outer}`")
        return self


class CollectClock(Section):
    """How far the clocks of clients are believed."""

    correct: bool = Field(
        default=True, description="Correct times by how far the client's clock is off when it sends."
    )
    tolerance_secs: Annotated[DurationOrZero, at_most("tolerance", 3600.0, "1h")] = Field(
        default=5.0,
        validation_alias="tolerance",
        description="A clock that is off by at most this is left alone.",
    )
    max_future_secs: Annotated[DurationOrZero, at_most("max_future", 365 * 86_400.0, "365d")] = Field(
        default=60.0,
        validation_alias="max_future",
        description="An event dated further ahead than this is given the time of its receipt.",
    )


def _kind_of_keys(value: object) -> str:
    return "each" if isinstance(value, dict) else "any"


def _keys(value: object) -> object:
    if isinstance(value, dict) or value in (None, "any"):
        return value
    raise ValueError("`keys` is a map of names, each with its `key` (`web: {key: wk_1}`), or `any`")


Keys = Annotated[
    Annotated[Literal["any"], Tag("any")] | Annotated[dict[WebhookId, CollectKey], Tag("each")],
    Discriminator(_kind_of_keys),
    BeforeValidator(checked(_keys)),
]
_OF_RECORDING: Final = (
    "keep_secs",
    "retain_secs",
    "reserve_bytes",
    "segment_bytes",
    "segment_secs",
)


class CollectSection(Section):
    """Events over HTTP: `hookline collect`, and `hookline up`."""

    listen: Listen = Field(
        default="127.0.0.1:8080",
        description="PORT (this machine only) or HOST:PORT.",
        examples=["0.0.0.0:8080"],
    )
    to: CollectTo = Field(
        default_factory=lambda: CollectTo(recording="./collected"),
        description="Where events are kept; without `source`, the job reads them there.",
        examples=[{"recording": "./collected"}],
    )
    keys: Annotated[Keys, few("keys", 10_000)] | None = Field(
        default=None,
        description="Write keys by name, or `any` for whatever a client sends, on this machine only.",
        examples=[{"web": {"key": "wk_live_1", "origins": ["https://shop.example"]}}],
    )
    hooks: Annotated[dict[WebhookId, CollectHook], few("hooks", 1_000)] = Field(
        default_factory=dict,
        description="Incoming webhooks of third parties by name: `/hooks/NAME`.",
        examples=[{"stripe": {"verify": {"stripe": "${STRIPE_SECRET}"}, "format": "stripe-events"}}],
    )
    limits: CollectLimits = Field(default_factory=CollectLimits, description="How much is taken at once.")
    clock: CollectClock = Field(default_factory=CollectClock, description="The clocks of clients.")
    dedupe_secs: Annotated[DurationOrZero, at_most("dedupe", 86_400.0, "24h")] = Field(
        default=600.0,
        validation_alias="dedupe",
        description="A message id seen with the same key within this time is a repeat; 0s: none is.",
    )
    order_secs: Annotated[DurationOrZero, at_most("order", 1.0, "1s")] = Field(
        default=0.05,
        validation_alias="order",
        description="Requests from web pages wait this long, and are written in the order of their times.",
    )
    keep_secs: Annotated[Duration, lasting("keep", "3650d")] = Field(
        default=7 * 86_400.0,
        validation_alias="keep",
        description="A job that has not read the recording for this long is no longer waited for.",
    )
    retain_secs: Annotated[DurationOrZero, at_most("retain", 3650 * 86_400.0, "3650d")] = Field(
        default=86_400.0,
        validation_alias="retain",
        description="How long a closed file stays even if all jobs have read it, for replays.",
    )
    reserve_bytes: Annotated[Size, at_most("reserve", 1 << 50, "1048576GiB")] = Field(
        default=1 << 30,
        validation_alias="reserve",
        description="Requests are refused while the recording's disk has less room than this.",
    )
    segment_bytes: Annotated[Size, Field(ge=1 << 20, le=16 << 30)] = Field(
        default=256 << 20, validation_alias="segment", description="A new file is started at this size."
    )
    segment_secs: Annotated[Duration, lasting("segment_age", "7d")] = Field(
        default=3600.0, validation_alias="segment_age", description="Or after this time."
    )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        return split_address(self.listen)

    @model_validator(mode="after")
    def _for_whom(self) -> CollectSection:
        if self.keys == "any" and not is_loopback(self.address[0]):
            raise problem(
                "open-door",
                f"`keys: any` takes events from everybody, and other machines reach `{self.listen}`: "
                "name the keys, or listen on 127.0.0.1",
            )
        if not self.keys and not self.hooks:
            raise problem(
                "missing-field",
                "nobody may send anything: name `keys` or `hooks` (on your own machine `keys: any`)",
            )
        if self.to.kafka is not None:
            for name in _OF_RECORDING:
                if name in self.model_fields_set:
                    shown = type(self).model_fields[name].validation_alias
                    raise problem(
                        "one-of", f"`{shown}` is of `to: {{recording: ..}}`, and this goes to Kafka"
                    )
        return self
