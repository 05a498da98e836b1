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
"""Names in lower case that say where a message goes, where it ends, or are of one connection alone."""

OURS: Final = frozenset({"content-type", "user-agent", "accept-encoding"})
"""Names in lower case that the sender sets unless `headers` does; `auth` and `signature` cannot."""

CONTENT_TYPES: Final = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "text": "text/plain; charset=utf-8",
    "ndjson": "application/x-ndjson",
}
"""What a body of this encoding, or of a batch as ndjson, is unless the webhook says otherwise."""


def is_reserved(name: str) -> bool:
    """Return whether the sender alone sets this header: one of `RESERVED`, or any webhook-."""
    lowered = name.lower()
    return lowered in RESERVED or lowered.startswith("webhook-")
