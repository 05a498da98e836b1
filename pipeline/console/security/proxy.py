"""The user that a trusted proxy names in its headers; such headers from anyone else are ignored."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from multidict import MultiMapping

from pipeline.config.models.installation.console import ConsoleProxy
from pipeline.console.security.roles import ROLES, Role

CHARS: Final = 200


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
    """Return the client's address: behind our proxy the last one that it names."""
    if proxy is None or not forwarded or not is_peer(proxy, peer):
        return peer
    return forwarded[-1].rpartition(",")[2].strip() or peer
