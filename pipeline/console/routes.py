"""The one table of what the console answers, and which right each wants; what is not here is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from aiohttp import web

from pipeline.console import files
from pipeline.console.api import tap
from pipeline.console.context import Asked
from pipeline.console.pages import live, login, overview
from pipeline.console.security.roles import Right

Handler = Callable[[Asked], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """One line of the table."""

    method: str
    path: str
    right: Right | None
    """None: whoever comes, also without a session."""
    handler: Handler


ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/static/{name}", None, files.serve),
    Route("GET", "/assets/{name}", None, files.serve),
    Route("GET", "/login", None, login.show),
    Route("POST", "/login", None, login.enter),
    Route("POST", "/logout", "view", login.leave),
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
    Route("GET", "/live/rows", "view", live.rows),
    # pages/config, pages/audit
    # api: webhooks
    # api: check, preview, complete, samples
    # api: dead letters, outbox, status
    # api: tap
    Route("GET", "/api/v1/tap", "view", tap.tap),
)
"""The order is that in which paths are tried: fixed ones before ``{names}``."""
