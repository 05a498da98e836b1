"""What viewers without the right to payloads see of a dead letter or a pending request."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pipeline.console.context import RequestContext
from pipeline.console.security.masks import HIDDEN
from pipeline.model.json import Value
from pipeline.operate.overview.needs import is_stable
from pipeline.operate.running.looks import with_examples


def redacted_reason(context: RequestContext, reason: str) -> str:
    """Return a reason as the viewer may see it: reasons from templates or records may quote values."""
    if context.may("payloads") or is_stable(reason):
        return reason
    return f"invalid: {HIDDEN}" if reason.startswith("invalid: ") else HIDDEN


def redacted_row(context: RequestContext, facts: dict[str, Value]) -> dict[str, Value]:
    """Return the facts of a dead letter, or of a pending request, as the viewer may see them."""
    if context.may("payloads"):
        shown: dict[str, Value] = context.masked(facts)
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
        hidden["reason"] = redacted_reason(context, str(facts["reason"]))
    if facts.get("message") is not None:
        hidden["message"] = HIDDEN
    return hidden


def may_advise(value: Value, shown: Value) -> bool:
    """Return whether a clause's advice may be shown: it may reveal a hidden value."""
    return bool(shown == value)


def catalog_shown(context: RequestContext, seen: Mapping[str, Value]) -> dict[str, Value]:
    """Return the names seen, with their examples, which are payloads, as the viewer may see them."""

    def shown(name: str, example: Value) -> Value:
        return context.masked({name: example})[name] if context.may("payloads") else None

    return with_examples(seen, shown)


def redacted_attempt(context: RequestContext, one: dict[str, Value]) -> dict[str, Value]:
    """Return an attempt as the viewer may see it."""
    if context.may("payloads"):
        shown: dict[str, Value] = context.masked(one)
        return shown
    reason = one["reason"]
    return {
        **one,
        "user": HIDDEN if one["user"] else None,
        "response": HIDDEN if one["response"] else None,
        "reason": None if reason is None else redacted_reason(context, str(reason)),
        "request": HIDDEN,
    }


def _origin(url: str) -> str:
    """Return a URL's origin; its path may contain user data."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{HIDDEN}" if parts.scheme else ""
