"""The one table of what the console answers, and which right each wants; what is not here is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from aiohttp import web

from pipeline.console import files
from pipeline.console.api import tap
from pipeline.console.context import Asked
from pipeline.console.pages import (
    live,
    login,
    overview,
)
from pipeline.console.security.origin import SAFE
from pipeline.console.security.roles import CHANGING, Right

Handler = Callable[[Asked], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """One line of the table."""

    method: str
    path: str
    right: Right | None
    """None: whoever comes, also without a session."""
    handler: Handler
    stream: bool = False
    """Its answer goes on and on: it has no end by which it must be there, and there are only so many."""
    audited: bool = False
    """It gets a line in the audit; what wants `operate` or `edit` and is no GET gets one anyway."""

    @property
    def changes(self) -> bool:
        """Whether it may change something, and so is not served where the audit cannot be written."""
        return self.method not in SAFE and (self.audited or self.right in CHANGING)


ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/static/{name}", None, files.serve),
    Route("GET", "/assets/{name}", None, files.serve),
    Route("GET", "/login", None, login.show),
    Route("POST", "/login", None, login.enter, audited=True),
    Route("POST", "/logout", "view", login.leave, audited=True),
    # pages/overview
    Route("GET", "/", "view", overview.show),
    # pages/webhooks
    # pages/edit
    # pages/webhook
    # pages/dead_letters
    # pages/pending
    # pages/events
    # pages/live
    Route("GET", "/live", "view", live.show),
    Route("GET", "/live/rows", "view", live.rows, stream=True),
    # pages/config, pages/audit
    # api: webhooks
    # api: check, preview, complete, samples
    # api: dead letters, outbox, status
    # api: tap
    Route("GET", "/api/v1/tap", "view", tap.tap, stream=True),
)
"""The order is that in which paths are tried: fixed ones before ``{names}``."""
