"""Listening addresses and origins of pages, as people and browsers write them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from pipeline.language.hosts import to_ascii

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of ``PORT`` (this machine only) or ``HOST:PORT``. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not port.isdecimal() or int(port) > 65_535 or (colon and not bare) or (":" in bare and bare == host):
        raise ValueError(f"`{text}` is not an address: write PORT or HOST:PORT, such as 127.0.0.1:8080")
    return bare or "127.0.0.1", int(port)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_OF_APP: Final = re.compile(
    r"(app|capacitor|ionic|tauri|(chrome|moz|safari-web)-extension)://[a-z0-9._-]+(:[0-9]+)?"
)
"""Pages of an app or of a browser's extension."""


def check_origin(text: str) -> None:
    """Check that a text is an origin as browsers send it. Raises ValueError with the correct one."""
    if "*" in text:
        raise ValueError(f"`{text}`: name each origin, or write `*` for every page")
    if _OF_APP.fullmatch(text):
        return
    try:
        parts = urlsplit(text)
        host, port = to_ascii(parts.hostname or ""), parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    wish = "an origin is `https://` and a host, with `:` and the port where that is not the usual one"
    if parts.scheme not in _DEFAULT_PORTS or not host:
        scheme = "http" if is_loopback(text.partition(":")[0]) else "https"
        example = f"{scheme}://{text}" if re.fullmatch(r"[\w.-]+(:[0-9]+)?", text) else None
        raise ValueError(wish + (f": did you mean `{example}`?" if example else ", or `*` for every page"))
    shown = f"[{host}]" if ":" in host else host
    shown += f":{port}" if port not in (None, _DEFAULT_PORTS[parts.scheme]) else ""
    if text != f"{parts.scheme}://{shown}":
        raise ValueError(f"browsers send the origin of `{text}` as `{parts.scheme}://{shown}`: write that")


def named_host(header: str) -> str:
    """Return the name in a Host header: small letters, without port, brackets and the dot at its end."""
    name, _, port = header.rpartition(":")
    if header.endswith("]") or not name or not (port.isascii() and port.isdecimal()):
        name = header
    return name.lower().rstrip(".").removeprefix("[").removesuffix("]")
