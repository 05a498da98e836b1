"""What a checked webhook file says about delivering, in plain values with their units.

The pydantic models (models.py) check what a user wrote and produce these; the engine reads only these.
Texts in auth, signature, ca and mtls may hold ``${NAME}``: they are resolved when a request is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias


@dataclass(slots=True, frozen=True)
class RetrySettings:
    """When a failed attempt is repeated: full-jitter exponential backoff between the two delays."""

    min_delay_secs: float = 1.0
    max_delay_secs: float = 3600.0
    max_age_secs: float = 72 * 3600.0
    max_attempts: int | None = None
    statuses: frozenset[int] = frozenset({408, 425, 429})
    """Statuses that are retried, beside every 5xx."""


@dataclass(slots=True, frozen=True)
class BatchSettings:
    """Several deliveries in one request."""

    max_events: int = 100
    max_bytes: int = 1_000_000
    max_wait_secs: float = 1.0
    as_: Literal["array", "ndjson"] = "array"
    wrap: Any = None
    """A body tree in which ``{{ items }}`` is the array; None: the array itself."""


@dataclass(slots=True, frozen=True)
class BasicAuth:
    """HTTP basic authentication."""

    username: str
    password: str


@dataclass(slots=True, frozen=True)
class BearerAuth:
    """``authorization: Bearer token``."""

    token: str


@dataclass(slots=True, frozen=True)
class HeaderAuth:
    """A header of its own, such as ``x-api-key``."""

    name: str
    value: str


@dataclass(slots=True, frozen=True)
class OAuth2Auth:
    """OAuth2 client credentials, or a refresh token where one is given."""

    token_url: str
    client_id: str
    client_secret: str
    scope: str | None = None
    refresh_token: str | None = None


@dataclass(slots=True, frozen=True)
class MtlsSettings:
    """Paths of a client certificate and its key in PEM form."""

    cert: str
    key: str


@dataclass(slots=True, frozen=True)
class StandardSignature:
    """Standard Webhooks: ``whsec_`` (v1) or ``whsk_`` (v1a) secrets; several while rotating."""

    secrets: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class HmacSignature:
    """A plain HMAC of the body in one header."""

    header: str
    secret: str
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"


Auth: TypeAlias = BasicAuth | BearerAuth | HeaderAuth | OAuth2Auth
Signature: TypeAlias = StandardSignature | HmacSignature


@dataclass(slots=True, frozen=True)
class DeliverySettings:
    """How one webhook's requests are sent."""

    timeout_secs: float = 10.0
    concurrency: int = 64
    rate_per_sec: float | None = None
    ordering: Literal["none", "per_user"] = "none"
    retry: RetrySettings = RetrySettings()
    max_pending: int = 1_000_000
    on_full: Literal["dead_letter", "pause"] | None = None
    batch: BatchSettings | None = None
    fail_when: Any = None
    """A condition tree over ``response.*``; true makes a 2xx answer a dead letter."""
    client: Literal["native", "aiohttp"] = "native"
    proxy: str | None = None
    """Proxy URL; only with the aiohttp client."""


@dataclass(slots=True, frozen=True)
class ReceiverSettings:
    """Who we are to one receiver and how we trust it."""

    auth: Auth | None = None
    mtls: MtlsSettings | None = None
    ca: str | None = None
    signature: Signature | None = None
