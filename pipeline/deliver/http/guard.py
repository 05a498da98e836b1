"""The network guard: which addresses may be dialled (DESIGN 7, P8).

It decides about the address that the socket connects to, never about a name: a name is resolved once, every
result is judged, and only a judged address is dialled. The table is our own, from the IANA special-purpose
registries (IPv4 and IPv6), because `ipaddress.is_private` and its kin changed their meaning between Python
versions. Addresses that embed another one (mapped, compatible, NAT64, 6to4, Teredo) are refused as such: no
webhook receiver has one, and where they lead depends on the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_REFUSED_V4 = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared address space",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local and cloud metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT",
    "192.88.99.0/24": "6to4 relay",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved and broadcast",
    "168.63.129.16/32": "cloud platform service",
}
# In IPv6 only 2000::/3 is global unicast; everything outside is refused at once. These are inside it.
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = {
    "2001::/23": "protocol assignments, Teredo, ORCHID",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
}
_NAMED_V6 = {
    "::/128": "unspecified",
    "::1/128": "loopback",
    "::ffff:0:0/96": "IPv4-mapped",
    "::ffff:0:0:0/96": "IPv4-translated",
    "::/96": "IPv4-compatible",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "local NAT64",
    "100::/64": "discard",
    "5f00::/16": "segment routing",
    "fc00::/7": "unique local",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_V4 = [(IPv4Network(network), why) for network, why in _REFUSED_V4.items()]
_V6 = [(IPv6Network(network), why) for network, why in (_REFUSED_V6 | _NAMED_V6).items()]

_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)\Z")


class GuardRefusal(Exception):
    """The address must not be dialled; ``str()`` says which and why."""


def parse_allow(cidrs: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks of `network.allow`; raises ValueError for an invalid one."""
    return tuple(ip_network(cidr, strict=False) for cidr in cidrs)


def refusal(address: str, allow: Iterable[Network] = ()) -> str | None:
    """Return why the address must not be dialled; None where it may be.

    ``allow`` opens the address as written: ``127.0.0.0/8`` opens 127.0.0.1, not ::ffff:127.0.0.1.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an IP address"
    for network in allow:
        if parsed.version == network.version and parsed in network:
            return None
    if isinstance(parsed, IPv4Address):
        return next((why for network, why in _V4 if parsed in network), None)
    for network, why in _V6:
        if parsed in network:
            return why
    return None if parsed in _GLOBAL_V6 else "not global unicast"


def check_address(host: str, address: str, allow: Iterable[Network] = ()) -> None:
    """Raise GuardRefusal where the address that the host resolved to must not be dialled."""
    why = refusal(address, allow)
    if why is not None:
        named = f"{host} is {address}, which is" if host != address else f"{address} is"
        raise GuardRefusal(f"{named} {why}; `network.allow` opens it where that is meant")


def literal_address(host: str) -> str | None:
    """Return the address that a numeric host means; None for a name.

    Accepts what C libraries and browsers accept: ``127.1``, ``2130706433``, ``0x7f.0.0.1``, ``0177.0.0.1``, a
    final dot, IPv6 with or without brackets and zone.
    """
    text = host.strip().removeprefix("[").removesuffix("]")
    if ":" in text:
        try:
            return str(IPv6Address(text.partition("%")[0]))
        except ValueError:
            return None
    parts = text.removesuffix(".").split(".")
    if not 1 <= len(parts) <= 4 or not all(_NUMBER.match(part) for part in parts):
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return None
    *head, last = numbers
    if any(number > 255 for number in head) or last >= 256 ** (5 - len(numbers)):
        return None
    value = last
    for place, number in enumerate(head):
        value |= number << (24 - 8 * place)
    return str(IPv4Address(value))


def check_url_literal(host: str, allow: Iterable[Network] = ()) -> str | None:
    """Return why a literal address in a URL must be refused before any dial; None where it may pass (names
    are judged when resolved).

    Spellings other than dotted decimal are refused even for public addresses: nobody writes them in good
    faith, and resolvers disagree on their meaning.
    """
    name = host.strip().removesuffix(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        loopback = refusal("127.0.0.1", allow)
        return None if loopback is None else "loopback by name"
    address = literal_address(host)
    if address is None:
        return "not a host name" if _all_numeric(name) else None
    plain = host.strip().removeprefix("[").removesuffix("]")
    if ":" not in plain and plain != address:
        return f"an unusual spelling of {address}"
    return refusal(address, allow)


def _number(text: str) -> int:
    if text[:2] in ("0x", "0X"):
        return int(text[2:] or "0", 16)
    return int(text, 8) if len(text) > 1 and text[0] == "0" else int(text)


def _all_numeric(name: str) -> bool:
    """True where the last label is a number: such a host can only be a broken address (WHATWG URL)."""
    return bool(_NUMBER.match(name.rpartition(".")[2]))
