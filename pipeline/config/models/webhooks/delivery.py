"""The model of `delivery`, both as a file says it and as the engine reads it."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationInfo, model_validator
from pydantic.config import JsonDict

from pipeline.config.models.field_types import (
    Conditions,
    Duration,
    Rate,
    Reading,
    Size,
    Tree,
    at_most,
    few,
    lasting,
    newly,
    problem,
    settings,
)

MAX_ATTEMPTS: Final = 100_000
MAX_PENDING: Final = 100_000_000


def _whole(most: int) -> JsonDict:
    return {"type": "integer", "minimum": 1, "maximum": most}


_ONCE = "for no retries write `max_attempts: 1`"


def _retryable(statuses: list[int]) -> None:
    for status in statuses:
        if not 300 <= status <= 599:
            raise ValueError(f"a status that can be retried is 300 to 599, not {status}")


def _answers(statuses: list[int]) -> None:
    for status in statuses:
        if not 300 <= status <= 499 or status == 401:
            raise ValueError(f"a status that can be a success is 300 to 499 but not 401: {status} is none")


@settings
class RetrySettings:
    """When a failed attempt is repeated: exponential backoff with full jitter."""

    min_delay_secs: Annotated[Duration, lasting("min_delay", "30d")] = Field(
        default=1.0, validation_alias="min_delay", description="Longest first delay."
    )
    max_delay_secs: Annotated[Duration, lasting("max_delay", "30d")] = Field(
        default=3600.0, validation_alias="max_delay", description="Longest delay."
    )
    max_age_secs: Annotated[Duration, lasting("max_age", zero=_ONCE)] = Field(
        default=72 * 3600.0,
        validation_alias="max_age",
        description="After this age a delivery becomes a dead letter.",
    )
    max_attempts: Annotated[int | None, at_most("max_attempts", MAX_ATTEMPTS)] = Field(
        default=None,
        ge=1,
        json_schema_extra={"anyOf": [_whole(MAX_ATTEMPTS), {"type": "null"}]},
        description="After this many attempts, too; null: only its age counts.",
    )
    statuses: Annotated[list[int], few("statuses", 300), newly(_retryable)] = Field(
        default=[408, 425, 429],
        json_schema_extra={"items": {"type": "integer", "minimum": 300, "maximum": 599}, "maxItems": 300},
        description="Statuses that are retried, beside every 5xx.",
    )

    @model_validator(mode="after")
    def _growing(self, info: ValidationInfo) -> Any:
        if info.context is Reading.FILES and self.min_delay_secs > self.max_delay_secs:
            raise problem("wrong-value", "`min_delay` is longer than `max_delay`: raise that, too")
        return self


@settings
class BatchSettings:
    """Several deliveries in one request; an answer `{"failed": [0, 3]}` names those to be sent again."""

    max_events: int = Field(default=100, ge=1, le=100_000, description="Most deliveries in one request.")
    max_bytes: Annotated[Size, at_most("max_bytes", 64 << 20, "64MiB")] = Field(
        default=1_000_000, description="Largest body, without what `wrap` puts around it."
    )
    max_wait_secs: Annotated[Duration, lasting("max_wait", "1h", zero="leave out `batch`")] = Field(
        default=1.0, validation_alias="max_wait", description="How long the first one waits for others."
    )
    as_: Literal["array", "ndjson"] = Field(
        default="array", validation_alias="as", description="JSON array, or one per line."
    )
    wrap: Tree = Field(
        default=None,
        description="A body around the array `{{ items }}`.",
        examples=[{"data": "{{ items }}"}],
    )


@settings
class DeliverySettings:
    """How requests are sent; `delivery` of pipeline.yaml sets other defaults."""

    timeout_secs: Annotated[Duration, lasting("timeout", "1h")] = Field(
        default=10.0, validation_alias="timeout", description="Total time for one attempt."
    )
    concurrency: int = Field(
        default=64, ge=1, le=10_000, description="Most requests at once; the number adapts below it."
    )
    rate_per_sec: Rate | None = Field(
        default=None,
        validation_alias="rate",
        description="Most requests per second, minute, hour or day.",
        examples=["100/s"],
    )
    ordering: Literal["none", "per_user"] = Field(
        default="none", description="`per_user`: a user's deliveries one after another, in order."
    )
    retry: RetrySettings = Field(default_factory=cache(RetrySettings), description="Retries.")
    max_pending: Annotated[int, at_most("max_pending", MAX_PENDING)] = Field(
        default=1_000_000,
        ge=1,
        json_schema_extra=_whole(MAX_PENDING),
        description="How many deliveries may wait on disk; each process has its part.",
    )
    max_pending_bytes: Size = Field(
        default=8 << 30,
        description="How much space they may take there.",
        examples=["8GiB"],
    )
    on_full: Literal["dead_letter", "pause"] | None = Field(
        default=None,
        description="What happens beyond that: dead letters (default on live input) or pause the source "
        "(default on finite recordings).",
    )
    max_pause_secs: Annotated[Duration, lasting("max_pause", "30d", zero="`on_full: dead_letter`")] = Field(
        default=5.0,
        validation_alias="max_pause",
        description="How long the source waits for a webhook whose receiver accepts nothing (a minute if no "
        "attempt fails in that time); then its further deliveries become dead letters, until it accepts one.",
    )
    batch: BatchSettings | None = Field(default=None, description="Send several deliveries in one request.")
    succeed_on: Annotated[list[int], few("succeed_on", 100), newly(_answers)] = Field(
        default=[],
        json_schema_extra={"items": {"type": "integer", "minimum": 300, "maximum": 499}, "maxItems": 100},
        description="Statuses, beside every 2xx, by which this receiver says that it has accepted a request, "
        "or has it already: a 302 of Google Apps Script, a 409 of what exists.",
        examples=[[302, 409]],
    )
    fail_when: Conditions = Field(
        default=None,
        description="A condition that makes a 2xx a dead letter: over `response.status`, "
        "`response.headers.NAME` and the JSON answer (`response.body.x`, or short `response.x`).",
        examples=[{"response.ok": False}],
    )
    retry_when: Conditions = Field(
        default=None,
        description="The same, but it makes a 2xx a 429, which is retried; it comes before `fail_when`.",
        examples=[{"response.body": {"contains": "HTTP error 429"}}],
    )
    client: Literal["native", "aiohttp"] = Field(
        default="native", description="HTTP client; aiohttp can use a proxy."
    )
    proxy: str | None = Field(
        default=None,
        description="Proxy URL, with the aiohttp client; user and password are percent-encoded. A receiver "
        "whose name is private here is refused; what only the proxy can resolve, it must guard.",
        examples=["http://user:${PROXY_PASSWORD}@proxy.example:3128"],
    )

    @model_validator(mode="after")
    def _proxy_client(self) -> Any:
        if self.proxy is not None and self.client != "aiohttp":
            raise problem("wrong-value", "`proxy` needs `client: aiohttp`")
        return self

    @model_validator(mode="after")
    def _one_meaning(self) -> Any:
        both = sorted(set(self.succeed_on) & set(self.retry.statuses))
        if both:
            message = (
                f"{both[0]} cannot be a success and be retried: name it in `succeed_on` or `retry.statuses`"
            )
            raise problem("wrong-value", message)
        return self
