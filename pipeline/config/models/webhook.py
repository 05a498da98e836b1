"""What a webhook file may hold.

Schema, reference and the "did you mean" of `check` are generated from these models: a field's description
is its documentation. Conditions and bodies stay plain data for the compilers of their rooms.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from pipeline.config.models.fields import (
    Conditions,
    Duration,
    DurationOrEver,
    Names,
    Rate,
    Section,
    Size,
    Tree,
    WebhookId,
)


def _only_one(section: Section, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) > 1:
        listed = " and ".join(f"`{name}`" for name in given)
        raise PydanticCustomError(
            "one-of", "{message}", {"message": f"{listed} exclude each other: keep one"}
        )


class Sample(Section):
    """A stable share of the matches: a hash of one value decides, so a user is always in or out."""

    percent: float = Field(gt=0, le=100, description="How many of a hundred fire.", examples=[10])
    by: str = Field(default="user.id", description="The path whose value is hashed.")


class Repeat(Section):
    """Fire only on the n-th match within a time, then start anew; counted per user."""

    count: int = Field(ge=1, description="Fires on this match.", examples=[3])
    within: Duration = Field(description="The matches must lie within this time of each other (event time).")
    by: str | None = Field(default=None, description="Count separately per value of this path.")


class Trigger(Section):
    """Which events, or which property changes, make the webhook fire."""

    events: Names | None = Field(
        default=None, description='Event names or labels; `"*"` for all.', examples=[["Purchase", "Refund"]]
    )
    changes: Names | None = Field(
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
            raise PydanticCustomError(
                "missing-field", "{message}", {"message": "`trigger` needs `events` or `changes`"}
            )
        _only_one(self, ("events", "changes"))
        return self


class Limit(Section):
    """At most so many deliveries per user and time; the rest is counted as suppressed."""

    per: Literal["user"] = Field(default="user", description="Whose deliveries are counted.")
    count: int = Field(default=1, ge=1, description="How many go out.")
    every: DurationOrEver = Field(description="In this time of the events; `ever`: once and for all.")


class Dedupe(Section):
    """Suppress what was already seen."""

    by: str = Field(default="event.id", description="The path whose equal values are duplicates, per user.")
    within: Duration = Field(default=86400.0, description="For this long after the first (event time).")


class Basic(Section):
    """HTTP basic authentication."""

    username: str = Field(description="User name.", examples=["${ZENDESK_USER}/token"])
    password: str = Field(description="Password.", examples=["${ZENDESK_TOKEN}"])


class Bearer(Section):
    """`authorization: Bearer ...`."""

    token: str = Field(description="The token.", examples=["${TOKEN}"])


class HeaderKey(Section):
    """A header of its own that carries a key."""

    name: str = Field(description="Name of the header.", examples=["X-Api-Key"])
    value: str = Field(description="Its value.", examples=["${API_KEY}"])


class OAuth2(Section):
    """OAuth2 client credentials, or a refresh token where one is given."""

    token_url: str = Field(description="Where tokens are issued.", examples=["https://auth.example/token"])
    client_id: str = Field(description="Client id.")
    client_secret: str = Field(description="Client secret.", examples=["${CLIENT_SECRET}"])
    scope: str | None = Field(default=None, description="Scope asked for.")
    refresh_token: str | None = Field(
        default=None, description="Use this refresh token instead of the credentials."
    )


class Mtls(Section):
    """A client certificate."""

    cert: str = Field(description="PEM file of the certificate.", examples=["certs/client.pem"])
    key: str = Field(description="PEM file of its key.", examples=["certs/client.key"])


class AuthSection(Section):
    """Who we are to the receiver: one of basic, bearer, header, oauth2; mtls beside any."""

    basic: Basic | None = Field(default=None, description="User name and password.")
    bearer: Bearer | None = Field(default=None, description="A bearer token.")
    header: HeaderKey | None = Field(default=None, description="A key in a header of its own.")
    oauth2: OAuth2 | None = Field(default=None, description="OAuth2; the token is cached and renewed.")
    mtls: Mtls | None = Field(default=None, description="A client certificate, beside any of the others.")

    @model_validator(mode="after")
    def _one_way(self) -> AuthSection:
        _only_one(self, ("basic", "bearer", "header", "oauth2"))
        return self


class StandardWebhooks(Section):
    """Standard Webhooks signatures (`webhook-signature`)."""

    secrets: Names = Field(
        min_length=1,
        description="`whsec_` (v1) or `whsk_` (v1a) secrets; several while they are rotated.",
        examples=[["${SIGNING_SECRET}"]],
    )


class Hmac(Section):
    """A plain HMAC of the body in one header, as GitHub and Shopify do."""

    header: str = Field(description="Name of the header.", examples=["X-Hub-Signature-256"])
    secret: str = Field(description="The key.", examples=["${SIGNING_SECRET}"])
    algorithm: Literal["sha1", "sha256", "sha512"] = Field(default="sha256", description="Hash function.")
    encoding: Literal["hex", "base64"] = Field(default="hex", description="How the digest is written.")
    prefix: str | None = Field(
        default=None,
        description='Text before it; by default `"sha256="` (the algorithm) for hex, none for base64.',
    )


class SignatureSection(Section):
    """How the receiver can tell that a request is ours."""

    standard_webhooks: StandardWebhooks | None = Field(default=None, description="Standard Webhooks.")
    hmac: Hmac | None = Field(default=None, description="A plain HMAC header.")

    @model_validator(mode="after")
    def _one_way(self) -> SignatureSection:
        _only_one(self, ("standard_webhooks", "hmac"))
        return self


class Request(Section):
    """The HTTP request that is sent."""

    method: Literal["POST", "PUT", "PATCH", "GET", "DELETE"] = Field(
        default="POST", description="HTTP method; GET and DELETE carry no body."
    )
    url: str = Field(
        description="Where to; scheme, host and port are constant, the path may hold templates.",
        examples=["https://hooks.slack.com/services/${SLACK_PATH}"],
    )
    query: dict[str, Any] = Field(
        default_factory=dict,
        description="Query parameters; a missing or empty value drops the parameter.",
        examples=[{"k": "{{ event.properties.k }}"}],
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Further headers.", examples=[{"X-Team": "growth"}]
    )
    encoding: Literal["json", "form"] = Field(
        default="json", description="How the body is written; form: nested `a[b]`, arrays repeat."
    )
    missing: Literal["null", "omit", "omit_empty", "dead_letter"] | None = Field(
        default=None, description="What a value without a path becomes: null, left out, or a dead letter."
    )
    body: Tree = Field(
        default=None,
        description="The body as a tree (see Bodies); by default event and user as they are.",
        examples=[{"text": "{{ user.properties.name | default: 'Someone' }} bought"}],
    )
    auth: AuthSection | None = Field(default=None, description="Authentication.")
    ca: str | None = Field(
        default=None,
        description="PEM file of the authority to trust for this receiver, instead of the system's; its "
        "oauth2 `token_url` is trusted by either.",
    )
    signature: SignatureSection | None = Field(default=None, description="Signature.")


class Retry(Section):
    """When a failed attempt is repeated: exponential backoff with full jitter."""

    min_delay: Duration = Field(default=1.0, description="First delay at most.")
    max_delay: Duration = Field(default=3600.0, description="Longest delay.")
    max_age: Duration = Field(
        default=72 * 3600.0, description="After this age a delivery becomes a dead letter."
    )
    max_attempts: int | None = Field(
        default=None, ge=1, description="After this many too; null: only age counts."
    )
    statuses: list[int] = Field(
        default=[408, 425, 429],
        description="Statuses that are retried, beside every 5xx.",
    )


class Batch(Section):
    """Several deliveries in one request; an answer `{"failed": [0, 3]}` names those to be sent again."""

    max_events: int = Field(default=100, ge=1, le=100_000, description="How many at most.")
    max_bytes: Size = Field(default=1_000_000, description="How large the body may grow.")
    max_wait: Duration = Field(default=1.0, description="How long the first one waits for others.")
    as_: Literal["array", "ndjson"] = Field(
        default="array", alias="as", description="JSON array, or one per line."
    )
    wrap: Tree = Field(
        default=None,
        description="A body around the array `{{ items }}`.",
        examples=[{"data": "{{ items }}"}],
    )


class DeliverySection(Section):
    """How requests are sent; `delivery` of pipeline.yaml sets other defaults."""

    timeout: Duration = Field(default=10.0, description="Time for one attempt in all.")
    concurrency: int = Field(
        default=64, ge=1, le=10_000, description="Requests at once, at most; it adapts below."
    )
    rate: Rate | None = Field(
        default=None, description="How many requests per time, at most.", examples=["100/s"]
    )
    ordering: Literal["none", "per_user"] = Field(
        default="none", description="`per_user`: a user's deliveries one after another, in order."
    )
    retry: Retry = Field(default_factory=Retry, description="Retries.")
    max_pending: int = Field(default=1_000_000, ge=1, description="How many may wait on disk.")
    on_full: Literal["dead_letter", "pause"] | None = Field(
        default=None,
        description="What happens beyond: dead letters (default on live input) or pause the source "
        "(default on finite recordings).",
    )
    batch: Batch | None = Field(default=None, description="Send several deliveries in one request.")
    fail_when: Conditions = Field(
        default=None,
        description="A condition over `response.*` of a JSON answer that makes a 2xx a dead letter.",
        examples=[{"response.ok": False}],
    )
    client: Literal["native", "aiohttp"] = Field(
        default="native", description="HTTP client; aiohttp can use a proxy."
    )
    proxy: str | None = Field(default=None, description="Proxy URL, with the aiohttp client.")

    @model_validator(mode="after")
    def _proxy_client(self) -> DeliverySection:
        if self.proxy is not None and self.client != "aiohttp":
            message = "`proxy` needs `client: aiohttp`"
            raise PydanticCustomError("wrong-value", "{message}", {"message": message})
        return self


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
    request: Request = Field(description="What is sent.")
    delivery: DeliverySection = Field(default_factory=DeliverySection, description="How it is sent.")
