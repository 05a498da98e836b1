"""Where a request goes and the part of its head that does not change between deliveries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from pipeline.language.headers import NAME, RESERVED

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")


def _version() -> str:
    try:
        return version("hookline")
    except PackageNotFoundError:
        return "0"


USER_AGENT = f"hookline/{_version()}"


class TargetError(ValueError):
    """A URL or header that cannot be sent as HTTP; the text never shows a value."""


class Origin(NamedTuple):
    """What connections are shared by."""

    scheme: str
    host: str
    """ASCII, lower case; IPv6 without brackets."""
    port: int
    tls: str = ""
    """Name of the trust settings (CA, client certificate) that the connection was made with."""


@dataclass(slots=True, frozen=True, eq=False)
class Target:
    """One rendered request head without what differs per delivery."""

    origin: Origin
    method: str
    path: str
    """Path and query as sent."""
    headers: tuple[tuple[str, str], ...]
    prefix: bytes
    """Request line and headers for the native client; further header lines follow."""

    @property
    def url(self) -> str:
        """Return the URL as sent."""
        return f"{self.origin.scheme}://{authority(self.origin)}{self.path}"


NOWHERE = Target(Origin("http", "", 0), "", "", (), b"")
"""The target of a request that cannot be made."""


def authority(origin: Origin) -> str:
    """Return host and port as in a Host header: no default port, IPv6 in brackets."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    default = 443 if origin.scheme == "https" else 80
    return host if origin.port == default else f"{host}:{origin.port}"


def parse_origin(url: str, tls: str = "") -> tuple[Origin, str]:
    """Return the origin of a URL and its path with query; raises TargetError."""
    if _CONTROL.search(url):
        # urlsplit would drop some of them without a word.
        raise TargetError("a URL holds no control characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetError(f"not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise TargetError("a URL must begin with http:// or https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise TargetError("user name and password do not belong into a URL: use `auth`")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise TargetError("the host name is not a valid international domain name") from None
    if not re.fullmatch(r"[0-9a-z._:%\-]+", host):
        raise TargetError("the host name holds characters that no host name has")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    scheme = parts.scheme
    origin = Origin(
        scheme, host, port or (443 if scheme == "https" else 80), tls if scheme == "https" else ""
    )
    return origin, path


def check_header(name: str, value: str) -> None:
    """Raise TargetError for a header that would break or shadow the message's framing."""
    if not NAME.fullmatch(name):
        raise TargetError("a header name holds characters that no header name has")
    if name.lower() in RESERVED:
        raise TargetError(f"the header {name.lower()} is set by Hookline")
    if _BAD_VALUE.search(value):
        raise TargetError(f"the header {name} holds a control or non-Latin-1 character")


def build_target(
    method: str, url: str, headers: tuple[tuple[str, str], ...], content_type: str | None, tls: str = ""
) -> Target:
    """Return the target of a rendered request; raises TargetError.

    ``content_type`` is used where the headers name none; None: the request has no body.
    """
    origin, path = parse_origin(url, tls)
    if not NAME.fullmatch(method):
        raise TargetError("the method is not a word")
    names = set()
    lines = []
    for name, value in headers:
        check_header(name, value)
        names.add(name.lower())
        lines.append((name, value.strip(" \t")))
    if content_type and "content-type" not in names:
        lines.append(("content-type", content_type))
    if "user-agent" not in names:
        lines.append(("user-agent", USER_AGENT))
    head = f"{method} {path} HTTP/1.1\r\nhost: {authority(origin)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines)
    return Target(origin, method, path, tuple(lines), head.encode("latin-1"))
