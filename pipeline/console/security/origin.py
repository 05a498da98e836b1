"""Which requests of a browser come from our own pages, and under which names we are asked for."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def host_of(header: str) -> str:
    """Return the name in a Host header, without its port."""
    name, _, port = header.rpartition(":")
    if header.endswith("]") or not name or not (port.isascii() and port.isdecimal()):
        name = header
    return name.lower().rstrip(".").removeprefix("[").removesuffix("]")


def is_known(header: str, names: Collection[str]) -> bool:
    """Return whether a Host header names this console: a name turned to this address by others does not."""
    name = host_of(header)
    return name in ("localhost", "127.0.0.1", "::1", socket.gethostname().lower()) or name in names


def is_ours(method: str, headers: Mapping[str, str], host: str) -> bool:
    """Return whether a request that changes something comes from a page of ours, or from no page at all.

    Browsers say whence (Sec-Fetch-Site, Origin); what says neither is no browser, and brings no cookie.
    """
    if method in SAFE:
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() == host.lower()
    return "cookie" not in headers
