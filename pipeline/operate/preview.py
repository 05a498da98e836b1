"""A match as a person or a program reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from pipeline.job.story import Match
from pipeline.language.headers import CONTENT_TYPES
from pipeline.language.slots import mask
from pipeline.model.json import Value


@dataclass(slots=True, frozen=True)
class Preview:
    """The request that a match makes, with ``${NAME}`` for every secret; or why there is none."""

    webhook: str
    webhook_id: str
    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: Value = None
    """A form is a text, a batch one of one; None: there is none."""
    form: bool = False
    dead_letter: str | None = None
    """Why it cannot be rendered."""
    suppressed: bool = False
    """True where `limit` or `dedupe` holds it back."""

    @classmethod
    def of(cls, match: Match) -> Preview:
        """Return the preview of a match."""
        webhook, request = match.webhook, match.request
        if request is None:
            reason = None if match.suppressed else match.reason
            return cls(webhook.id, match.message_id, dead_letter=reason, suppressed=match.suppressed)
        spec, batch, body = webhook.spec, webhook.delivery.batch, request.body
        if spec.wrap is not None and batch is not None and batch.wrap is not None:
            body = spec.wrap([body])
        body, form = mask(body), spec.encoding == "form"
        headers = {name: mask(value) for name, value in request.headers}
        return cls(
            webhook.id,
            match.message_id,
            request.method,
            mask(request.url),
            {"content-type": CONTENT_TYPES[spec.encoding], **headers, "webhook-id": match.message_id},
            None if not body else body.decode() if form else orjson.loads(body),
            form,
        )

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
