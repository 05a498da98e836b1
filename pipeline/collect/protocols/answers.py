"""Bodies of answers."""

from __future__ import annotations

import orjson

from pipeline.collect.asked import Answer
from pipeline.collect.batch import Why
from pipeline.collect.protocols.protocol import REFUSALS


def as_json(status: int, body: object, *headers: tuple[str, str]) -> Answer:
    """Return an answer in JSON."""
    return Answer(status, orjson.dumps(body), headers=headers)


def refusal(status: int, body: dict[str, object], retry_secs: int) -> Answer:
    """Return an answer that says when to come again."""
    return as_json(status, body, ("Retry-After", str(retry_secs)))


def why(found: Why) -> str:
    """Return the refusal's reason for a sender."""
    return REFUSALS[found]
