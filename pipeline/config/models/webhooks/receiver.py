"""The models of `auth`, `ca` and `signature`: how sender and receiver identify themselves to each other.

Texts may hold ``${NAME}``: they are resolved when a request is sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic import ValidationInfo as Info

from pipeline.config.models.field_types import Names, Section, checked, few, newly, only_one, settings


@settings
class BasicAuth:
    """HTTP basic authentication."""

    username: str = Field(description="User name.", examples=["${ZENDESK_USER}/token"])
    password: str = Field(description="Password.", examples=["${ZENDESK_TOKEN}"])


@settings
class BearerAuth:
    """`authorization: Bearer ...`."""

    token: str = Field(description="The token.", examples=["${TOKEN}"])


@settings
class HeaderAuth:
    """A header of its own that carries a key."""

    name: str = Field(description="Name of the header.", examples=["X-Api-Key"])
    value: str = Field(description="Its value.", examples=["${API_KEY}"])


def _refusals(statuses: list[int]) -> None:
    for status in statuses:
        if not 400 <= status <= 499:
            raise ValueError(f"a status that refuses a token is 400 to 499, not {status}")


@settings
class OAuth2Auth:
    """OAuth2 client credentials, or a refresh token where one is given."""

    token_url: str = Field(description="Where tokens are issued.", examples=["https://auth.example/token"])
    client_id: str = Field(description="Client id.")
    client_secret: str = Field(description="Client secret.", examples=["${CLIENT_SECRET}"])
    scope: str | None = Field(default=None, description="Scope asked for.")
    refresh_token: str | None = Field(
        default=None,
        description="Use this refresh token instead of the credentials. One that the server replaces with "
        "each token is followed while the job runs, by each process for itself (use one); at the next start "
        "this one must still be valid.",
    )
    audience: str | None = Field(
        default=None,
        description="API that the token is for; Auth0 and others want it.",
        examples=["https://api.example"],
    )
    resource: str | None = Field(
        default=None,
        description="The same as RFC 8707 and older Microsoft endpoints (AD FS, Entra v1) name it.",
        examples=["https://api.example"],
    )
    renew_on: Annotated[list[int], few("renew_on", 100), newly(_refusals)] = Field(
        default=[],
        json_schema_extra={"items": {"type": "integer", "minimum": 400, "maximum": 499}, "maxItems": 100},
        description="Statuses, beside 401, by which this receiver says that a token has expired.",
        examples=[[403]],
    )


@settings
class MtlsSettings:
    """A client certificate."""

    cert: str = Field(description="PEM file of the certificate.", examples=["certs/client.pem"])
    key: str = Field(description="PEM file of its key.", examples=["certs/client.key"])


class AuthSection(Section):
    """Who we are to the receiver: one of basic, bearer, header, oauth2; mtls beside any."""

    basic: BasicAuth | None = Field(default=None, description="User name and password.")
    bearer: BearerAuth | None = Field(default=None, description="A bearer token.")
    header: HeaderAuth | None = Field(default=None, description="A key in a header of its own.")
    oauth2: OAuth2Auth | None = Field(default=None, description="OAuth2; the token is cached and renewed.")
    mtls: MtlsSettings | None = Field(
        default=None, description="A client certificate, beside any of the others."
    )

    @model_validator(mode="after")
    def _one_way(self) -> AuthSection:
        only_one(basic=self.basic, bearer=self.bearer, header=self.header, oauth2=self.oauth2)
        return self


@settings
class StandardSignature:
    """Standard Webhooks signatures (`webhook-signature`)."""

    secrets: Annotated[Names, few("secrets", 10, ": two are enough to rotate them")] = Field(
        min_length=1,
        json_schema_extra={"maxItems": 10},
        description="`whsec_` (v1) or `whsk_` (v1a) secrets; several while they are rotated.",
        examples=[["${SIGNING_SECRET}"]],
    )


def _prefix(value: object, info: Info) -> object:
    if value is not None:
        return value
    # An algorithm that is none is not there: it has a problem of its own.
    return f"{info.data.get('algorithm')}=" if info.data.get("encoding") == "hex" else ""


_AROUND = r"([^{}]|\{timestamp\}|\{id\})*"
_SIGNED = rf"^{_AROUND}\{{body\}}{_AROUND}$"


def _signed(text: str) -> str:
    if re.fullmatch(_SIGNED, text) is None:
        raise ValueError("what is signed is `{body}`, once, with `{timestamp}`, `{id}` and text around it")
    return text


@settings
class HmacSignature:
    """A plain HMAC in one header: of the body, as GitHub does, or with a time, as Slack and Stripe do."""

    header: str = Field(description="Name of the header.", examples=["X-Hub-Signature-256"])
    secret: str = Field(description="The key.", examples=["${SIGNING_SECRET}"])
    algorithm: Literal["sha1", "sha256", "sha512"] = Field(default="sha256", description="Hash function.")
    encoding: Literal["hex", "base64"] = Field(default="hex", description="How the digest is written.")
    prefix: Annotated[str, BeforeValidator(_prefix, json_schema_input_type=str | None)] = Field(
        default=None,
        validate_default=True,
        description='Text before it; by default `"sha256="` (the algorithm) for hex, none for base64. '
        "`{timestamp}` and `{id}` in it are those of the request.",
        examples=["t={timestamp},v1="],
    )
    signed: Annotated[str, AfterValidator(checked(_signed))] = Field(
        default="{body}",
        json_schema_extra={"pattern": _SIGNED},
        description="What is signed: `{body}`, with `{timestamp}` (`webhook-timestamp`, of each attempt), "
        "`{id}` (`webhook-id`) and text around it.",
        examples=["v0:{timestamp}:{body}"],
    )
    timestamp_header: str | None = Field(
        default=None,
        description="A header for `{timestamp}`, where the receiver does not read `webhook-timestamp`.",
        examples=["X-Slack-Request-Timestamp"],
    )
    secret_encoding: Literal["text", "base64", "hex"] = Field(
        default="text",
        description="What `secret` is: the key itself, or its bytes in base64 (also after `whsec_`) or hex.",
    )


class SignatureSection(Section):
    """How the receiver can tell that a request is ours."""

    standard_webhooks: StandardSignature | None = Field(default=None, description="Standard Webhooks.")
    hmac: HmacSignature | None = Field(default=None, description="A plain HMAC header.")

    @model_validator(mode="after")
    def _one_way(self) -> SignatureSection:
        only_one(standard_webhooks=self.standard_webhooks, hmac=self.hmac)
        return self


Auth: TypeAlias = BasicAuth | BearerAuth | HeaderAuth | OAuth2Auth
Signature: TypeAlias = StandardSignature | HmacSignature


@dataclass(slots=True, frozen=True)
class ReceiverSettings:
    """All of it, as the engine reads it."""

    auth: Auth | None = None
    mtls: MtlsSettings | None = None
    ca: str | None = None
    signature: Signature | None = None
