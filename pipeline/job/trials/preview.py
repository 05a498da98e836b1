"""A match as a person or a program reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from pipeline.config.models.webhooks.receiver import (
    BasicAuth,
    BearerAuth,
    HeaderAuth,
    HmacSignature,
    OAuth2Auth,
    ReceiverSettings,
    StandardSignature,
)
from pipeline.job.story import Match
from pipeline.language.headers import CONTENT_TYPES, as_sent
from pipeline.language.secrets import PlaceholderError, SecretRef, parse_placeholders
from pipeline.language.slots import Encoding, mask
from pipeline.model.json import Value
from pipeline.render.request import BODILESS


@dataclass(slots=True, frozen=True)
class Preview:
    """The request that a match makes, with ``${NAME}`` for every secret; or why there is none."""

    webhook: str
    webhook_id: str
    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    """Headers that are only added when it is sent: authentication and signature, in words."""
    body: Value = None
    """JSON where it is JSON, else text; a batch is one of a single member; None: there is none."""
    text: str = ""
    """The body byte for byte, with secrets masked; "" where there is none."""
    encoding: Encoding = "json"
    dead_letter: str | None = None
    """Why it cannot be rendered."""
    suppressed: bool = False
    """True where `limit` or `dedupe` suppresses it."""

    @classmethod
    def of(cls, match: Match) -> Preview:
        """Return the preview of a match."""
        webhook, request = match.webhook, match.request
        if request is None:
            reason = None if match.suppressed else match.reason
            return cls(webhook.id, match.message_id, dead_letter=reason, suppressed=match.suppressed)
        spec, batch, body = webhook.spec, webhook.delivery.batch, request.body
        sent = body
        if batch is not None and spec.wrap is not None:
            sent = spec.wrap([body])  # a batch of one
            body = sent if batch.wrap is not None else body
        body = mask(body)
        ndjson = batch is not None and batch.as_ == "ndjson" and spec.encoding == "json"
        headers = {as_sent(name): mask(value) for name, value in request.headers}
        if request.method not in BODILESS and "content-type" not in map(str.lower, headers):
            headers["Content-Type"] = CONTENT_TYPES["ndjson" if ndjson else spec.encoding]
        return cls(
            webhook.id,
            match.message_id,
            request.method,
            mask(request.url),
            {**headers, "webhook-id": match.message_id},
            _added(spec.receiver),
            None if not body else orjson.loads(body) if spec.encoding == "json" else body.decode(),
            mask(sent).decode() if request.body else "",
            spec.encoding,
        )

    def line(self) -> str:
        """Return it on one line."""
        if self.method:
            return f"{self.method} {self.url} {self.text}".rstrip()
        return "suppressed" if self.dead_letter is None else f"dead letter: {self.dead_letter}"

    def to_json(self) -> dict[str, Value]:
        """Return the request, or why there would be none."""
        if self.suppressed:
            return {"webhook": self.webhook, "webhook_id": self.webhook_id, "suppressed": True}
        if self.dead_letter is not None:
            return {"webhook": self.webhook, "webhook_id": self.webhook_id, "dead_letter": self.dead_letter}
        return {
            "webhook": self.webhook,
            "method": self.method,
            "url": self.url,
            "headers": self.headers,
            "body": self.body,
        }


def _added(receiver: ReceiverSettings) -> dict[str, str]:
    """Return the headers that are added when a request is sent, secrets as written."""
    auth, signature = receiver.auth, receiver.signature
    found: dict[str, str] = {}
    match auth:
        case BasicAuth():
            found["Authorization"] = f"Basic (of {_names(auth.username)}:{_names(auth.password)})"
        case BearerAuth():
            found["Authorization"] = f"Bearer {_names(auth.token)}"
        case HeaderAuth():
            found[auth.name] = _names(auth.value)
        case OAuth2Auth():
            found["Authorization"] = "Bearer (a token that is asked for when it is sent)"
    match signature:
        case StandardSignature():
            found["webhook-signature"] = "made when it is sent"
        case HmacSignature():
            found[signature.header] = "made when it is sent"
            if signature.timestamp_header is not None:
                found[signature.timestamp_header] = "the time when it is sent"
    return found


def _names(text: str) -> str:
    """Return a text of `auth` with its secrets by name, and nothing else of it."""
    try:
        return "".join(
            str(part) if isinstance(part, SecretRef) else "•••" for part in parse_placeholders(text)
        )
    except PlaceholderError:
        return "•••"
