"""A dead letter as JSON: what a person or a program needs to know, without secrets."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import orjson

from pipeline.language.slots import mask
from pipeline.model.records import Origin
from pipeline.model.times import format_iso
from pipeline.outbox.codec import DeadLetter, replay_number


def name_of(letter: DeadLetter) -> str:
    """Return the short name by which `hookline dlq show` and `replay` find a dead letter."""
    return blake2b(letter.key, digest_size=6).hexdigest()


def reason_of(letter: DeadLetter) -> str:
    """Return the reason as it is listed: records that could not be read are ``invalid: ...``."""
    return f"invalid: {letter.reason}" if letter.kind == "record" else letter.reason


def key_of(letter: DeadLetter) -> str:
    """Return the delivery key as text: webhook, origin, and which replay it was, if any.

    A copy that is written twice has the same key twice.
    """
    origin = Origin(letter.source, letter.offset, letter.item)
    number = replay_number(letter.key)
    again = f"~{number}" if number else ""
    return f"{letter.webhook_id or '-'}/{origin}{again}"


def as_json_value(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter as JSON data; secrets are shown as ``${NAME}``, bytes that are no text escaped."""
    return {
        "id": name_of(letter),
        "key": _clean(key_of(letter)),
        "webhook": letter.webhook_id or None,
        "webhook_id": letter.message_id or None,
        "kind": letter.kind,
        "reason": _clean(reason_of(letter)),
        "status": letter.status or None,
        "attempts": letter.attempts,
        "first_at": format_iso(letter.created_ms),
        "dead_at": format_iso(letter.dead_ms),
        "origin": {"source": _clean(letter.source), "offset": letter.offset, "item": letter.item},
        # The user's key without what tells ids from anonymous ids (join/links.py).
        "user": _clean(letter.user[2:]) or None,
        "request": {
            "method": letter.method,
            "url": mask(letter.url),
            "headers": [[name, mask(value)] for name, value in letter.headers],
            "body": mask(letter.body).decode("utf-8", "backslashreplace"),
        },
        "response": _clean(letter.excerpt) or None,
        "config": letter.config or None,
    }


def to_json(letter: DeadLetter, *, body: bool = True) -> bytes:
    """Return one line of JSON, without its end; without the body where that is too large for its place."""
    value = as_json_value(letter)
    if not body:
        value["request"]["body"] = None
    return orjson.dumps(value)


def _clean(text: str) -> str:
    """Return the text with lone surrogates (from file names) escaped: JSON cannot hold them."""
    return text.encode("utf-8", "backslashreplace").decode()
