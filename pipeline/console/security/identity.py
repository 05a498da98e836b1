"""Who sends a request: a session cookie, a bearer token, or a trusted proxy's header."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Sequence
from typing import Final, Protocol

from aiohttp import web
from multidict import MultiMapping

from pipeline.config.models.installation.console import ConsoleProxy, ConsoleSection
from pipeline.console.security.roles import ROLES, Role, Viewer, rights_of
from pipeline.console.security.sessions import Session, Sessions
from pipeline.console.security.throttle import Throttle
from pipeline.console.security.tokens import Tokens
from pipeline.language.addresses import named_host

NOBODY: Final = Viewer("", "viewer", frozenset())
BEARER: Final = "bearer "
CHARS: Final = 200
"""Of a user's name from the proxy."""


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


class Impostor(Exception):
    """A header of the proxy came from elsewhere, or not from it alone; the text says which."""


def is_peer(proxy: ConsoleProxy, address: str) -> bool:
    """Return whether the proxy asks from there."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    asked = (found,) if mapped is None else (found, mapped)
    return any(one in ipaddress.ip_network(network) for network in proxy.from_ for one in asked)


def who(proxy: ConsoleProxy, headers: MultiMapping[str], peer: str) -> tuple[str, Role] | None:
    """Return name and role of the user; None where the proxy names nobody.

    Raises Impostor where somebody else sends its header.
    """
    users = headers.getall(proxy.user_header, []) if proxy.user_header else []
    roles = headers.getall(proxy.role_header, []) if proxy.role_header else []
    if (users or roles) and not is_peer(proxy, peer):
        raise Impostor("the header that says who is logged in came from an address that is not the proxy's")
    if len(users) > 1 or len(roles) > 1:
        # One is the client's: the proxy adds its own where it should replace others.
        raise Impostor("the header that says who is logged in came twice: let the proxy replace it")
    user = _text(users[0]) if users else ""
    if not user:
        return None
    role: Role = proxy.role
    if proxy.role_header:
        said = _text(roles[0]).lower() if roles else ""
        found = next((one for one in ROLES if one == said), None)
        if said and found is None:
            return user[:CHARS], "viewer"
        role = found or proxy.role
    return user[:CHARS], role


def _text(header: str) -> str:
    """Return a header's text: UTF-8, or as older servers write it."""
    raw = header.strip().encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def client_of(peer: str, forwarded: Sequence[str], proxy: ConsoleProxy | None) -> str:
    """Return the client's address: behind our proxies the last one named that is none of theirs."""
    if proxy is None or not is_peer(proxy, peer):
        return peer
    hops = [found for hop in ",".join(forwarded).split(",") if (found := _bare(hop.strip()))]
    return next((hop for hop in reversed(hops) if not is_peer(proxy, hop)), hops[0] if hops else peer)


def _bare(hop: str) -> str:
    """Return an address without its port, which some proxies add: each connection has another one."""
    return hop if hop.count(":") > 1 and hop[:1] != "[" else named_host(hop)
