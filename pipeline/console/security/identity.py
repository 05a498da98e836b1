"""Who sends a request: a session cookie, a bearer token, or a trusted proxy's header."""

from __future__ import annotations

import math
from typing import Final, Protocol

from aiohttp import web

from pipeline.config.models.installation.console import ConsoleProxy, ConsoleSection
from pipeline.console.security.proxy import Impostor, client_of, who
from pipeline.console.security.roles import Role, Viewer, rights_of
from pipeline.console.security.sessions import Session, Sessions
from pipeline.console.security.throttle import Throttle
from pipeline.console.security.tokens import Tokens

NOBODY: Final = Viewer("", "viewer", frozenset())
BEARER: Final = "bearer "


class Keeper(Protocol):
    """What a console knows about who may come in."""

    sessions: Sessions
    tokens: Tokens
    throttle: Throttle
    section: ConsoleSection


def address_of(request: web.Request, proxy: ConsoleProxy | None) -> str:
    """Return a request's client address."""
    return client_of(request.remote or "", request.headers.getall("x-forwarded-for", []), proxy)


def identify(request: web.Request, keeper: Keeper) -> tuple[Viewer, Session | None]:
    """Return the viewer and a browser's session; NOBODY without credentials.

    Raises HTTPForbidden for a proxy's header from elsewhere, HTTPUnauthorized for an invalid token,
    HTTPTooManyRequests after too many of those.
    """
    headers, proxy = request.headers, keeper.section.proxy
    if proxy is not None:
        try:
            named = who(proxy, headers, request.remote or "")
        except Impostor as error:
            raise web.HTTPForbidden(reason=str(error)) from None
        if named is not None:
            return _viewer(keeper, *named, "proxy"), keeper.sessions.of_proxy(named[0])
    said = headers.get("authorization", "")
    if said[: len(BEARER)].lower() == BEARER:
        address = address_of(request, proxy)
        refuse_failing(keeper.throttle, address)
        token = keeper.tokens.find(said[len(BEARER) :].strip())
        if token is None:
            keeper.throttle.failed(address)
            raise web.HTTPUnauthorized(reason="this token is not valid")
        return _viewer(keeper, token.name, token.role, "token"), None
    session = _session(request, keeper)
    if session is None:
        return NOBODY, None
    return _viewer(keeper, session.name, session.role, session.by), session


def is_still(request: web.Request, keeper: Keeper, viewer: Viewer) -> bool:
    """Return whether a request that began as this viewer's would be this viewer's now.

    A token may have been revoked or changed its role meanwhile, a session may have ended. A proxy's word is
    valid as long as its request.
    """
    if viewer.by == "proxy":
        return True
    said = request.headers.get("authorization", "")
    if said[: len(BEARER)].lower() == BEARER:
        token = keeper.tokens.find(said[len(BEARER) :].strip())
        return token is not None and _viewer(keeper, token.name, token.role, "token") == viewer
    session = _session(request, keeper)
    return session is not None and _viewer(keeper, session.name, session.role, session.by) == viewer


def _viewer(keeper: Keeper, name: str, role: Role, by: str) -> Viewer:
    section = keeper.section
    rights = rights_of(role, read_only=section.read_only, hide_payloads=section.hide_payloads)
    return Viewer(name, role, rights, by)


def _session(request: web.Request, keeper: Keeper) -> Session | None:
    """Return the session of a browser; one whose token is no longer valid has ended."""
    session = keeper.sessions.find(request.cookies.get(keeper.sessions.cookie))
    if session is not None and session.token is not None and not keeper.tokens.holds(session.token):
        keeper.sessions.close(request.cookies.get(keeper.sessions.cookie))
        return None
    return session


def refuse_failing(throttle: Throttle, address: str) -> None:
    """Raise HTTPTooManyRequests where too many log-ins from this address have failed."""
    wait = throttle.wait_secs(address)
    if wait > 0:
        raise web.HTTPTooManyRequests(
            reason=f"too many log-ins from this address have failed: try again in {math.ceil(wait)} s",
            headers={"retry-after": str(math.ceil(wait))},
        )
