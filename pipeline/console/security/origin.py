"""Which browser requests come from our own pages, and which Host names we answer to."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from pipeline.language.addresses import named_host

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def is_known(header: str, names: Collection[str], own: str = "") -> bool:
    """Return whether a Host header names this console: a name that others rebound to this address does not.

    own: the address at which this connection arrived.
    """
    name = named_host(header)
    return name in ("localhost", "127.0.0.1", "::1", own) or name in names or name == _machine()


def _machine() -> str:
    return socket.gethostname().lower()


def is_ours(method: str, headers: Mapping[str, str], host: str) -> bool:
    """Return whether a request that changes something comes from one of our pages, or from no page at all.

    Browsers say where a request comes from (Sec-Fetch-Site, Origin); a client that says neither is not a
    browser: it brings a token, or nothing that others could have made a browser send.
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


def is_said(method: str, headers: Mapping[str, str]) -> bool:
    """Return whether a request that changes something says where it comes from.

    A proxy authenticates a user's requests wherever they were made: without that header it may be anybody's
    page.
    """
    return method in SAFE or "sec-fetch-site" in headers or "origin" in headers
