"""Requests as a person or a program reads them; secrets are shown as ``${NAME}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from pipeline.language.headers import CONTENT_TYPES

if TYPE_CHECKING:
    from pipeline.operate.dry_run import Fired


def as_json_value(fired: Fired) -> dict[str, Any]:
    """Return a match as JSON data: the request, or why there would be none."""
    row: dict[str, Any] = {"webhook": fired.webhook.id}
    if fired.request is None:
        row |= {"webhook_id": fired.message_id}
        return row | ({"suppressed": True} if fired.suppressed else {"dead_letter": fired.reason})
    headers = {"content-type": CONTENT_TYPES[fired.webhook.spec.encoding], **fired.headers}
    headers["webhook-id"] = fired.message_id
    return row | {
        "method": fired.request.method,
        "url": fired.url,
        "headers": headers,
        "body": body_value(fired),
    }


def body_value(fired: Fired) -> Any:
    """Return the body as JSON data, or as text where it is a form; None where there is none."""
    body = fired.body
    if not body:
        return None
    if fired.webhook.spec.encoding == "form":
        return body.decode()
    return orjson.loads(body)


def as_text(fired: Fired) -> str:
    """Return the request in the order in which it goes out."""
    if fired.request is None:
        return "suppressed by `limit` or `dedupe`" if fired.suppressed else f"dead letter: {fired.reason}"
    row = as_json_value(fired)
    lines = [f"{row['method']} {row['url']}"]
    lines += [f"{name}: {value}" for name, value in row["headers"].items()]
    body = row["body"]
    if body is not None:
        shown = body if isinstance(body, str) else orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
        lines += ["", shown]
    return "\n".join(lines)
