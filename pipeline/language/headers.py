"""Request headers: valid names, those the sender sets itself, content types."""

from __future__ import annotations

import re
from typing import Final

NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A token of RFC 9110: header names and methods."""

RESERVED: Final = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer"),
        *("upgrade", "expect", "proxy-authorization", "proxy-connection", "http2-settings"),
    }
)
"""Lower-case names that address or frame a message, or concern one connection alone."""

OURS: Final = frozenset({"content-type", "user-agent", "accept", "accept-encoding"})
"""Lower-case names that the sender sets unless `headers` does; `auth` and `signature` cannot."""

CONTENT_TYPES: Final = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "text": "text/plain; charset=utf-8",
    "ndjson": "application/x-ndjson",
}
"""The content type of a body with this encoding, or of an ndjson batch, unless the webhook sets one."""


def is_reserved(name: str) -> bool:
    """Return whether only the sender may set this header: one of `RESERVED`, or any webhook-."""
    lowered = name.lower()
    return lowered in RESERVED or lowered.startswith("webhook-")


def as_sent(name: str) -> str:
    """Return a header's name as it is sent: of ours with capitals, as some servers know no other spelling."""
    return name.title() if name in OURS else name
