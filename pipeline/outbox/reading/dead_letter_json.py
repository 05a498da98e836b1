"""A dead letter as JSON: what a person or a program needs to know, without secrets."""

from __future__ import annotations

from hashlib import blake2b

import orjson

from pipeline.language.headers import as_sent
from pipeline.language.paths import event_view, user_view
from pipeline.language.slots import mask
from pipeline.model.json import Value, as_utf8
from pipeline.model.records import Envelope
from pipeline.model.times import format_iso
from pipeline.outbox.codec import DeadLetter, replay_number
from pipeline.outbox.handover import Request
from pipeline.outbox.seen import event_and_user


def name_of(letter: DeadLetter) -> str:
    """Return the short name by which `hookline dlq show` and `replay` find a dead letter."""
    return blake2b(letter.key, digest_size=6).hexdigest()


def reason_of(letter: DeadLetter) -> str:
    """Return the reason as listed: unreadable records are ``invalid: ...``."""
    return f"invalid: {letter.reason}" if letter.kind == "record" else letter.reason


def key_of(letter: DeadLetter) -> str:
    """Return the delivery key as text: webhook, origin, and the replay's number, if any.

    A letter that is copied twice has the same key both times.
    """
    number = replay_number(letter.key)
    again = f"~{number}" if number else ""
    return f"{letter.request.webhook_id or '-'}/{letter.origin}{again}"


def as_json_value(letter: DeadLetter) -> dict[str, Value]:
    """Return a dead letter as JSON data; secrets are shown as ``${NAME}``, invalid UTF-8 escaped."""
    request, progress, origin = letter.request, letter.progress, letter.origin
    return {
        "id": name_of(letter),
        "key": as_utf8(key_of(letter)),
        "webhook": request.webhook_id or None,
        "webhook_id": request.message_id or None,
        "kind": letter.kind,
        "reason": as_utf8(reason_of(letter)),
        "status": progress.status or None,
        "attempts": progress.attempt,
        "first_at": format_iso(request.created_ms),
        "dead_at": format_iso(letter.dead_ms),
        "origin": {"source": as_utf8(origin.source), "offset": origin.offset, "item": origin.item},
        "message": _message(letter),
        # The user's key without the prefix that distinguishes ids from anonymous ids (join/links.py).
        "user": as_utf8(request.user[2:]) or None,
        "request": request_json(request, _body(letter)),
        "response": as_utf8(progress.excerpt) or None,
        "config": request.config or None,
    }


def _message(letter: DeadLetter) -> Value:
    """Return the parts of the message besides its value; None where it had none, or they are not kept."""
    around = letter.message
    if around is None or around == _NOTHING:
        return None
    return {
        "time": None if around.time is None else format_iso(around.time),
        "key": None if around.key is None else _text(around.key),
        "headers": [[name, None if value is None else _text(value)] for name, value in around.headers],
        "is_tombstone": around.is_tombstone,
    }


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


_NOTHING = Envelope()


def _body(letter: DeadLetter) -> str:
    """Return the body to show: for an unrendered one, what the template saw, by the names it uses."""
    body = letter.request.body
    if letter.kind in ("render", "condition"):
        event, user = event_and_user(letter)
        body = orjson.dumps({"event": event_view(event), "user": user_view(user)})
    elif letter.kind == "delivery":
        body = mask(body)
    return body.decode("utf-8", "backslashreplace")


def request_json(request: Request, body: str | None = None) -> dict[str, Value]:
    """Return a request as JSON data; secrets are shown as ``${NAME}``, invalid UTF-8 escaped."""
    return {
        "method": request.method,
        "url": mask(request.url),
        "headers": [[as_sent(name), mask(value)] for name, value in request.headers],
        "body": mask(request.body).decode("utf-8", "backslashreplace") if body is None else body,
    }


def to_json(letter: DeadLetter, *, body: bool = True) -> bytes:
    """Return one line of JSON, without its line end; without the body where that is too large for
    the target.
    """
    value = as_json_value(letter)
    if not body:
        value["request"]["body"] = None
    return orjson.dumps(value)
