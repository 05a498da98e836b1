"""One attempt: what a client is asked to send and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from pipeline.deliver.http.target import Target

Fault: TypeAlias = Literal[
    "timeout", "connect", "dns", "tls", "reset", "closed", "protocol", "head-limit", "guard-refused",
    "proxy", "auth", "request",
]  # fmt: skip
"""Why there is no status. ``guard-refused`` and ``request`` (what was rendered cannot be sent) are final."""

MAX_HEAD = 64 * 1024
"""Bytes of one response before its body, 1xx answers included."""
MAX_HEADERS = 256
MAX_BODY = 16 * 1024
"""Bytes of a response body that are read; a longer one is cut and its connection closed."""


class Attempt(msgspec.Struct, eq=False, gc=False):
    """A request on its way. The client fills in the part under "answer" and then reports it finished."""

    target: Target
    extra: bytes
    """This request's own header lines, each with its line end."""
    body: bytes
    owner: Any = None
    """The lane; clients do not look at it."""
    items: tuple[Any, ...] = ()
    """The entries it carries."""
    started: float = 0.0
    deadline: float = 0.0
    is_retry: bool = False
    is_probe: bool = False
    generation: int = 0
    """Which OAuth2 token it carries."""
    headers_matter: bool = False
    """True: what a success says in its headers is read (of a batch some may be asked for later)."""
    proxy: str | None = None
    """Only for the aiohttp client."""
    # --- for the client
    cancel: Callable[[], object] | None = None
    """Ends what the client is doing for it; None before and after."""
    stale: bool = False
    """Only for the aiohttp client: a kept-alive connection took it, and no answer has begun."""
    renewed: bool = False
    """True once a kept-alive connection turned out closed and a new one was taken."""
    ended: bool = False
    # --- answer
    status: int = 0
    fault: Fault | None = None
    detail: str = ""
    retry_after: str | None = None
    answer: bytes = b""

    def abort(self, fault: Fault | None, detail: str) -> bool:
        """Cancel what the client is doing for it; True where its end is to be reported, with this fault."""
        if self.ended:
            return False
        self.ended = True
        cancel, self.cancel = self.cancel, None
        if cancel is not None:
            cancel()
        if fault is None:
            return False
        self.fault, self.detail = fault, detail
        return True

    def __repr__(self) -> str:
        return f"<Attempt status={self.status} fault={self.fault} detail={self.detail!r}>"


class Client(Protocol):
    """Sends attempts. Every `send` ends in one call of the ``finished`` callback it was made with."""

    def send(self, attempt: Attempt) -> None:
        """Begin the attempt; never blocks, never raises."""

    def abort(self, attempt: Attempt, fault: Fault | None, detail: str = "") -> None:
        """End it now with this fault; None: forget it without a report."""

    async def close(self) -> None:
        """Close every connection; attempts that still run are forgotten."""
