"""Bodies of answers; the answers of protocols that define no errors of their own."""

from __future__ import annotations

import orjson

from pipeline.collect.batch import Why
from pipeline.collect.protocols.protocol import REFUSALS, Malformed, Protocol
from pipeline.collect.request import Answer, Request


def as_json(status: int, body: object, *headers: tuple[str, str]) -> Answer:
    """Return an answer in JSON."""
    return Answer(status, orjson.dumps(body), headers=headers)


def refusal(status: int, body: dict[str, object], retry_secs: int) -> Answer:
    """Return an answer that says when to retry."""
    return as_json(status, body, ("Retry-After", str(retry_secs)))


def why(found: Why) -> str:
    """Return the refusal's reason for a sender."""
    return REFUSALS[found]


class Plain(Protocol):
    """Reports errors in Hookline's own form."""

    def malformed(self, request: Request, error: Malformed) -> Answer:
        """Return the reason, which clients show."""
        return as_json(error.status, {"code": "refused", "message": error.reason})

    def refused(self, request: Request, why: Why, retry_secs: int) -> Answer:
        """Return 503 and when to retry."""
        return refusal(503, {"code": "try_again", "message": REFUSALS[why]}, retry_secs)
