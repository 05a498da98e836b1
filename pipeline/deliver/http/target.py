"""A request's destination, and the part of its head that is the same for every delivery."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from pipeline import __version__
from pipeline.language.headers import NAME, RESERVED, as_sent
from pipeline.language.hosts import HostError, to_ascii

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]|[^\x00-\xff]")

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests give a length even without a body."""

_DEFAULTS = (
    ("User-Agent", f"hookline/{__version__}"),
    # Firewalls refuse a request without it (rule 920300 of OWASP's core rule set).
    ("Accept", "*/*"),
    # Without it any coding would be acceptable (RFC 9110, 12.5.3).
    ("Accept-Encoding", "identity"),
)
"""Set unless the webhook's `headers` do. Written, as all that is usual, with capitals: some servers know no
other spelling of a name, and read no body where there is a `content-length` for them."""


class TargetError(ValueError):
    """A URL or header that cannot be sent as HTTP; the text never shows a value."""


class Origin(NamedTuple):
    """The endpoint of connections."""

    scheme: str
    host: str
    """ASCII, lower case; IPv6 without brackets."""
    port: int
    tls: str = ""
    """Name of the TLS context (CA, client certificate) of the connection."""


@dataclass(slots=True, frozen=True, eq=False)
class Target:
    """A rendered request head without the parts that differ per delivery."""

    origin: Origin
    method: str
    path: str
    """Path and query as sent."""
    headers: tuple[tuple[str, str], ...]
    prefix: bytes
    """Request line and headers for the native client; further header lines follow."""
    webhook: str = ""
    pool: str = ""
    """The key by which connections are shared: webhook and origin. So no answer to one webhook can be taken
    for another's."""

    @property
    def url(self) -> str:
        """Return the URL as sent."""
        return url_of(self.origin, self.path)


NOWHERE = Target(Origin("http", "", 0), "", "", (), b"")
"""The target of a request that cannot be made."""


def authority(origin: Origin) -> str:
    """Return host and port as in a Host header: no default port, IPv6 in brackets."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    default = 443 if origin.scheme == "https" else 80
    return host if origin.port == default else f"{host}:{origin.port}"


def url_of(origin: Origin, path: str) -> str:
    """Return a URL as it is sent."""
    return f"{origin.scheme}://{authority(origin)}{path}"


def parse_origin(url: str, tls: str = "") -> tuple[Origin, str]:
    """Return the origin of a URL and its path with query; raises TargetError."""
    if _CONTROL.search(url):
        # urlsplit would silently drop some of them.
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
    if port == 0:
        raise TargetError("there is no port 0")
    try:
        host = to_ascii(host)
    except HostError as error:
        raise TargetError(str(error)) from None
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    scheme = parts.scheme
    origin = Origin(
        scheme, host, port or (443 if scheme == "https" else 80), tls if scheme == "https" else ""
    )
    return origin, path


class Proxy(NamedTuple):
    """A proxy, as in `delivery.proxy`."""

    origin: Origin
    url: str
    """Without user and password."""
    authorization: str | None
    """Value of ``proxy-authorization``."""

    def refusal(self, status: int, asked: str = "") -> str:
        """Return the meaning of an answer of the proxy itself. asked: host and port of the tunnel."""
        told = f"the proxy {authority(self.origin)} answered {status}"
        told += f" to CONNECT {asked}" if asked else ""
        if status != 407:
            return told
        if self.authorization is None:
            return f"{told}: it wants a user and a password (`proxy: http://user:password@host:port`)"
        return f"{told}: it does not take the user and password of `delivery.proxy`"


def parse_proxy(text: str) -> Proxy:
    """Return a proxy from its URL, with user and password (percent-encoded) in it; raises TargetError.

    The error's text never shows them.
    """
    scheme, mark, rest = text.strip().partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        raise TargetError("a proxy is written http://host:port or https://host:port")
    # A password may contain characters that would end a host elsewhere.
    given, at, host = rest.rpartition("@")
    origin, path = parse_origin(f"{scheme.lower()}://{host}")
    if path != "/":
        raise TargetError("a proxy has no path and no query: write http://user:password@host:port")
    authorization = None
    if at:
        user, _, password = given.partition(":")
        try:
            pair = f"{unquote(user, errors='strict')}:{unquote(password, errors='strict')}"
        except UnicodeDecodeError:
            raise TargetError("user and password of a proxy are not UTF-8") from None
        if _CONTROL.search(pair):
            raise TargetError("user or password of a proxy holds a control character")
        authorization = "Basic " + b64encode(pair.encode()).decode()
    return Proxy(origin, url_of(origin, "/"), authorization)


def check_header(name: str, value: str) -> None:
    """Raise TargetError for a header that would break or override the message's framing."""
    if not NAME.fullmatch(name):
        raise TargetError("a header name holds characters that no header name has")
    if name.lower() in RESERVED:
        raise TargetError(f"the header {name.lower()} is set by Hookline")
    if _BAD_VALUE.search(value):
        raise TargetError(f"the header {name} holds a control or non-Latin-1 character")


def build_target(
    method: str,
    url: str,
    headers: tuple[tuple[str, str], ...],
    content_type: str | None,
    tls: str = "",
    webhook: str = "",
) -> Target:
    """Return the target of a rendered request; raises TargetError.

    ``content_type`` is used where the headers have none; None: the request has no body. webhook: its webhook.
    """
    origin, path = parse_origin(url, tls)
    if not NAME.fullmatch(method):
        raise TargetError("the method is not a word")
    names = set()
    lines = []
    for name, value in headers:
        check_header(name, value)
        names.add(name.lower())
        lines.append((as_sent(name), value.strip(" \t")))
    if content_type and "content-type" not in names:
        lines.append(("Content-Type", content_type))
    lines += [(name, value) for name, value in _DEFAULTS if name.lower() not in names]
    head = f"{method} {path} HTTP/1.1\r\nHost: {authority(origin)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines)
    pool = f"{webhook} {origin.scheme}://{authority(origin)} {origin.tls}"
    return Target(origin, method, path, tuple(lines), head.encode("latin-1"), webhook, pool)
