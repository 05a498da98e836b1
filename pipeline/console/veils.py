"""What those see of a dead letter or a request who may not see payloads."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pipeline.console.context import Asked
from pipeline.console.security.masks import HIDDEN
from pipeline.model.json import Value
from pipeline.operate.overview.needs import is_stable
from pipeline.operate.running.looks import with_examples


def veiled_reason(asked: Asked, reason: str) -> str:
    """Return a reason: what a template or a record said may quote values."""
    if asked.may("payloads") or is_stable(reason):
        return reason
    return f"invalid: {HIDDEN}" if reason.startswith("invalid: ") else HIDDEN


def veiled(asked: Asked, facts: dict[str, Value]) -> dict[str, Value]:
    """Return the facts of a dead letter, or of a request that waits, as who asks may see them."""
    if asked.may("payloads"):
        shown: dict[str, Value] = asked.masked(facts)
        return shown
    request = facts["request"]
    hidden = {
        **facts,
        "user": HIDDEN if facts.get("user") else None,
        "response": HIDDEN if facts.get("response") else None,
        "request": {
            "method": request["method"],
            "url": _origin(request["url"]),
            "headers": [[name, HIDDEN] for name, _ in request["headers"]],
            "body": HIDDEN,
        },
    }
    if "reason" in facts and facts.get("kind") != "delivery":
        hidden["reason"] = veiled_reason(asked, str(facts["reason"]))
    if facts.get("message") is not None:
        hidden["message"] = HIDDEN
    return hidden


def may_advise(value: Value, shown: Value) -> bool:
    """Return whether what is advised about a clause may be told: it may say what a hidden value is."""
    return bool(shown == value)


def catalog_shown(asked: Asked, seen: Mapping[str, Value]) -> dict[str, Value]:
    """Return the names that were seen, with their examples, which are payloads, as who asks may see them."""

    def shown(name: str, example: Value) -> Value:
        return asked.masked({name: example})[name] if asked.may("payloads") else None

    return with_examples(seen, shown)


def attempt_veiled(asked: Asked, one: dict[str, Value]) -> dict[str, Value]:
    """Return an attempt as those see it who may see no payloads."""
    reason = one["reason"]
    return {
        **one,
        "user": HIDDEN if one["user"] else None,
        "response": HIDDEN if one["response"] else None,
        "reason": None if reason is None else veiled_reason(asked, str(reason)),
        "request": HIDDEN,
    }


def _origin(url: str) -> str:
    """Return where a URL leads; its path may hold what is known of a user."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{HIDDEN}" if parts.scheme else ""
