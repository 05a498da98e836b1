"""A complete HTTP request, and the answer to it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Request(msgspec.Struct, frozen=True):
    """One request, complete."""

    method: str
    path: str
    """Without query and prefix, percent-decoded."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name; of a repeated header the values are joined by a comma."""
    body: bytes
    """Decompressed, where the request names an encoding or the body begins like gzip."""
    received_ms: int
    raw: bytes
    """The body as received: what webhooks sign."""
    delay_ms: int = 0
    """How long it took to come and waited here, beyond a second: the client sent it so long before."""

    @property
    def origin(self) -> str | None:
        """The page's origin, where a browser sent it."""
        return self.headers.get("origin")


class Answer(msgspec.Struct, frozen=True):
    """What is sent back."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
