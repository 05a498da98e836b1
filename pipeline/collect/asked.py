"""A request that was read whole, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Asked(msgspec.Struct, frozen=True):
    """One request."""

    method: str
    path: str
    """Without query and prefix, percent-decoded."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name; of a repeated header the values are joined by a comma."""
    body: bytes
    """Unpacked, where the request says how it is packed or it begins like gzip."""
    received_ms: int
    raw: bytes = b""
    """The body as it came: what webhooks sign."""

    @property
    def origin(self) -> str | None:
        """The page's origin, where a page sent it."""
        return self.headers.get("origin")


class Answer(msgspec.Struct, frozen=True):
    """What goes back."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
