"""The model of a webhook file.

Schema, reference and the "did you mean" of `check` are generated from these models: a field's description
is its documentation. Conditions and bodies stay plain data for the compilers of their rooms.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipeline.config.models.field_types import (
    Conditions,
    Duration,
    DurationOrEver,
    Names,
    Parameter,
    Paths,
    Section,
    Tree,
    WebhookId,
    checked,
    few,
    lasting,
    newly,
    only_one,
    problem,
)
from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.config.models.webhooks.receiver import AuthSection, ReceiverSettings, SignatureSection

MAX_COUNT: Final = 1_000
"""Most matches that `repeat` and `limit` count: each is a time in the user's state."""
MAX_PATHS: Final = 32
MAX_HEADERS: Final = 200


def _countable(count: int) -> None:
    if count > MAX_COUNT:
        raise ValueError(f"`count` is a whole number from 1 to {MAX_COUNT}")


Count = Annotated[int, Field(ge=1, json_schema_extra={"maximum": MAX_COUNT}), newly(_countable)]


_MEDIA_TYPE = r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *; *[A-Za-z0-9!#$&^_.+-]+=[ -~]+)*"


def _media_type(text: str) -> str:
    if not re.fullmatch(_MEDIA_TYPE, text):
        raise ValueError("a content type is a text such as `application/xml` or `text/csv; charset=utf-8`")
    return text


ContentType = Annotated[
    str, Field(json_schema_extra={"pattern": f"^{_MEDIA_TYPE}$"}), AfterValidator(checked(_media_type))
]


_USER: Final = "user.id"


class Sample(Section):
    """A stable share of the matches: a hash of one value decides, so a user is always in or out."""

    percent: float = Field(gt=0, le=100, description="Percentage of the matches that fire.", examples=[10])
    by: Annotated[str, AfterValidator(lambda path: path or _USER)] = Field(
        default=_USER,
        description="The path whose value is hashed; without a value nothing fires. "
        "`user.id` is the anonymous id of who has no other.",
    )


class Repeat(Section):
    """Fire only on the n-th match within a time, then start anew; counted per user."""

    count: Count = Field(description="Fires on this match.", examples=[3])
    within_secs: Annotated[Duration, lasting("within")] = Field(
        validation_alias="within",
        description="The matches must lie within this time of each other (event time).",
    )
    by: str | None = Field(
        default=None,
        description="Count separately per value of this path (null is one); an event without one does not "
        "count.",
    )


def _names_alone(changes: object) -> object:
    parts = changes if isinstance(changes, list) else [changes]
    name = next((name for part in parts if isinstance(part, dict) for name in part), None)
    if name is not None:
        before, now = f"user.before.{name}: free", f"user.properties.{name}: pro"
        raise ValueError(f"`changes` takes names: from what to what is `where: [{{{before}}}, {{{now}}}]`")
    return changes


class Trigger(Section):
    """Which events, or which property changes, make the webhook fire."""

    events: Names | None = Field(
        default=None, description='Event names or labels; `"*"` for all.', examples=[["Purchase", "Refund"]]
    )
    changes: Annotated[Names | None, BeforeValidator(checked(_names_alone))] = Field(
        default=None,
        description='Instead of `events`: user properties whose change fires the webhook; `"*"` for any.',
        examples=[["plan", "email"]],
    )
    where: Conditions = Field(
        default=None,
        description="Conditions, all of which must hold (see Conditions).",
        examples=[[{"event.properties.amount": {"gte": 500}}]],
    )
    sample: Sample | None = Field(default=None, description="Let only a share of the matches through.")
    repeat: Repeat | None = Field(default=None, description="Fire only on the n-th match.")

    @model_validator(mode="after")
    def _one_source(self) -> Trigger:
        if self.events is None and self.changes is None:
            raise problem("missing-field", "`trigger` needs `events` or `changes`")
        only_one(events=self.events, changes=self.changes)
        return self


class Limit(Section):
    """At most so many deliveries per user and time; the rest is counted as suppressed."""

    per: Literal["user"] = Field(default="user", description="Whose deliveries are counted.")
    count: Count = Field(default=1, description="How many go out.")
    every_secs: Annotated[DurationOrEver, lasting("every")] = Field(
        validation_alias="every", description="In this time of the events; `ever`: once and for all."
    )
    by: str | None = Field(
        default=None,
        description="Count separately per value of this path (null is one); an event without one is not "
        "limited.",
    )


class Dedupe(Section):
    """Suppress what was already seen."""

    by: Annotated[Paths, few("by", MAX_PATHS)] = Field(
        default=["event.id"],
        json_schema_extra={"maxItems": MAX_PATHS},
        description="Events of a user with equal values of this path (of all paths, if several) are "
        "duplicates. An event in which one is missing or null is never a duplicate. `event.id` of a "
        "CloudEvent counts together with its source.",
        examples=[["event.source", "event.id"]],
    )
    within_secs: Annotated[Duration, lasting("within")] = Field(
        default=86400.0,
        validation_alias="within",
        description="For this long after the first (event time).",
    )


class Idempotency(Section):
    """What identifies an event to the receiver: events with equal values have the same `webhook-id`."""

    by: Annotated[Paths, few("by", MAX_PATHS)] = Field(
        default=["event.id"],
        json_schema_extra={"maxItems": MAX_PATHS},
        description="Paths of the event whose values the `webhook-id` is derived from; if one has no value, "
        "the record's position in its stream is used. `event.id` of a CloudEvent counts together with its "
        "source.",
        examples=[["event.source", "event.id"]],
    )


_NO_AUTH: Final = AuthSection.model_construct()
_NO_SIGNATURE: Final = SignatureSection.model_construct()


class Request(Section):
    """The HTTP request that is sent."""

    method: Literal["POST", "PUT", "PATCH", "GET", "DELETE"] = Field(
        default="POST", description="HTTP method; GET and DELETE carry no body."
    )
    url: str = Field(
        description="Where to; scheme, host and port are constant, the path may hold templates.",
        examples=["https://hooks.slack.com/services/${SLACK_PATH}"],
    )
    query: dict[str, Parameter] = Field(
        default_factory=dict,
        description="Query parameters; a missing or empty value drops the parameter.",
        examples=[{"k": "{{ event.properties.k }}"}],
    )
    headers: Annotated[dict[str, str], few("headers", MAX_HEADERS)] = Field(
        default_factory=dict,
        json_schema_extra={"maxProperties": MAX_HEADERS},
        description="Further headers.",
        examples=[{"X-Team": "growth"}],
    )
    encoding: Literal["json", "form", "text"] = Field(
        default="json",
        description="How the body is written; form: nested `a[b]`, arrays repeat `a[]`, "
        "arrays with objects are indexed, `a[0][b]`; text: the body is one text (XML, "
        "CSV, a line of a protocol) and is sent as it is.",
    )
    content_type: ContentType | None = Field(
        default=None,
        description="With `encoding: text`: what the text is; by default `text/plain; charset=utf-8`.",
        examples=["application/xml"],
    )
    missing: Literal["null", "omit", "omit_empty", "dead_letter"] | None = Field(
        default=None,
        description="What a value without a path becomes: null, left out, or a dead letter. Within a longer "
        "text it is empty; `| require` makes it a dead letter there, too.",
    )
    body: Tree = Field(
        default=None,
        description="The body as a tree (see Bodies); by default event and user as they are.",
        examples=[{"text": "{{ user.properties.name | default: 'Someone' }} bought"}],
    )
    auth: AuthSection | None = Field(default=None, description="Authentication.")
    ca: str | None = Field(
        default=None,
        description="PEM file of the authority to trust for this receiver, and for an `https://` "
        "proxy before it, instead of the system's; its oauth2 `token_url` is trusted by either.",
    )
    signature: SignatureSection | None = Field(default=None, description="Signature.")

    @model_validator(mode="after")
    def _typed_text(self) -> Request:
        if self.content_type is not None and self.encoding != "text":
            message = "`content_type` goes with `encoding: text`; of other bodies it is a header"
            raise problem("wrong-value", message)
        return self

    def receiver(self) -> ReceiverSettings:
        """Return who we are to the receiver and how we trust it."""
        auth, signature = self.auth or _NO_AUTH, self.signature or _NO_SIGNATURE
        return ReceiverSettings(
            auth=auth.basic or auth.bearer or auth.header or auth.oauth2,
            mtls=auth.mtls,
            ca=self.ca,
            signature=signature.standard_webhooks or signature.hmac,
        )


class WebhookFile(Section):
    """One webhook: a trigger, a request, and how it is delivered."""

    id: WebhookId = Field(description="Names it in metrics, state, dead letters.", examples=["big-purchase"])
    description: str | None = Field(default=None, description="For people.")
    enabled: bool = Field(default=True, description="`false`: it matches nothing; what is pending stays.")
    extends: str | None = Field(
        default=None,
        description="Name of a base file beside it (`_slack` for `_slack.yaml`): maps merge, lists replace.",
    )
    vars: dict[str, Any] = Field(
        default_factory=dict, description="Values for templates and conditions, under `vars.`"
    )
    include_excluded: bool = Field(default=False, description="Fire also for what pipeline.yaml excludes.")
    trigger: Trigger = Field(description="When it fires.")
    limit: Limit | None = Field(default=None, description="At most so many per user and time.")
    dedupe: Dedupe | None = Field(default=None, description="Suppress duplicates.")
    idempotency: Idempotency | None = Field(default=None, description="What the `webhook-id` is made of.")
    request: Request = Field(description="What is sent.")
    delivery: DeliverySettings = Field(default_factory=cache(DeliverySettings), description="How it is sent.")
