"""Who logged in at a proxy before us, as its headers say; from anybody else such a header is a lie."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.console.security.roles import ROLES, Role

FORWARDED: Final = "x-forwarded-for"
CHARS: Final = 200


class Impostor(Exception):
    """A header of the proxy came from somewhere else."""


@dataclass(slots=True, frozen=True)
class Proxy:
    """Where the proxy asks from, and how it names people."""

    networks: tuple[str, ...]
    user_header: str | None = None
    """None: it logs nobody in, it only stands before us."""
    role_header: str | None = None
    role: Role = "viewer"
    """Of whom no role is said."""

    def is_peer(self, address: str) -> bool:
        """Return whether the proxy asks from there."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        asked = (found,) if mapped is None else (found, mapped)
        return any(one in ipaddress.ip_network(network) for network in self.networks for one in asked)

    def who(self, headers: Mapping[str, str], peer: str) -> tuple[str, Role] | None:
        """Return name and role of who asks; None where the proxy names nobody.

        Raises Impostor where somebody else names anybody.
        """
        named = [name for name in (self.user_header, self.role_header) if name and name in headers]
        if named and not self.is_peer(peer):
            raise Impostor
        user = headers.get(self.user_header, "").strip() if self.user_header else ""
        if not user:
            return None
        role: Role = self.role
        if self.role_header:
            said = headers.get(self.role_header, "").strip().lower()
            found = next((one for one in ROLES if one == said), None)
            if said and found is None:
                return user[:CHARS], "viewer"
            role = found or self.role
        return user[:CHARS], role


def client_of(peer: str, forwarded: Sequence[str], proxy: Proxy | None) -> str:
    """Return the address of who asks: behind our proxy the last one that it names."""
    if proxy is None or not forwarded or not proxy.is_peer(peer):
        return peer
    return forwarded[-1].rpartition(",")[2].strip() or peer
