"""Domains of e-mail addresses and URLs, IP addresses and CIDR blocks."""

from __future__ import annotations

import ipaddress
import re
from datetime import tzinfo
from socket import AF_INET, inet_pton
from typing import Final
from urllib.parse import urlsplit

from pipeline.language.hosts import HostError, to_unicode
from pipeline.match.operators.values import OperandError
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Missing

_HOST: Final = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W_](?:[\w-]*[^\W_])?\.?")
_LONGEST: Final = 255
"""Maximum length of a host name, in characters."""
_LABELS: Final = re.compile(r"[\w.\u3002\uff0e\uff61-]+")


def to_domain(value: Value, tz: tzinfo | None = None) -> Value | Missing:
    """Return the lower-case domain of an e-mail address, a URL or a bare host name."""
    if type(value) is not str or len(value) > 8192:
        return MISSING
    text = value.strip()
    if "://" in text or text.startswith("//"):
        try:
            host = urlsplit(text).hostname or ""
        except ValueError:
            return MISSING
        return _name(host) if _LABELS.fullmatch(host) else MISSING
    if "@" in text:
        if text[:7].lower() == "mailto:":
            text = text[7:].split("?", 1)[0]
        local, _, host = text.rpartition("@")
        return _name(host) if local and host and _LABELS.fullmatch(host) else MISSING
    return _name(text) if _HOST.fullmatch(text) else MISSING


def _name(text: str) -> str:
    """Return a host name in its canonical spelling, if it is one."""
    name = text.rstrip(".").lower()
    if (name.isascii() and "xn--" not in name) or len(name) > _LONGEST:
        return name
    try:
        return to_unicode(text).rstrip(".")
    except HostError:
        return name


def domain_operand(value: Value, tz: tzinfo | None) -> Value:
    """Return the operand after `as: domain`; raises OperandError."""
    if type(value) is not str or not value.strip():
        raise OperandError("expected a domain", "such as acme.com")
    if "@" in value or "/" in value:
        raise OperandError(f'"{value}" is more than a domain', "write the part after `@` or `//`: acme.com")
    return _name(value.strip())


_MAPPED: Final = 0xFFFF
"""The prefix of IPv4-mapped IPv6 addresses (RFC 4291 2.5.5.2): ``::ffff:0:0/96``."""


class Network:
    """An operand after `as: ip`: one address or a CIDR block."""

    __slots__ = ("address", "bits", "version")

    def __init__(self, version: int, address: int, bits: int) -> None:
        self.version = version
        self.bits = bits
        self.address = address >> ((32 if version == 4 else 128) - bits)


class Networks:
    """A set of addresses and blocks: one lookup per prefix length, whatever the number of blocks."""

    __slots__ = ("_blocks",)

    def __init__(self, networks: list[Network]) -> None:
        blocks: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            blocks.setdefault((network.version, network.bits), set()).add(network.address)
        self._blocks = tuple((version, bits, frozenset(found)) for (version, bits), found in blocks.items())

    def __contains__(self, value: Value | Missing) -> bool:
        if type(value) is not tuple:
            return False
        version, address = value
        width = 32 if version == 4 else 128
        return any(
            version == other and address >> (width - bits) in found for other, bits, found in self._blocks
        )


def to_ip(value: Value, tz: tzinfo | None = None) -> Value | Missing:
    """Return (version, number) of an IP address; an IPv4-mapped one counts as IPv4."""
    if type(value) is not str:
        return MISSING
    text = value.strip()
    try:
        if ":" not in text:
            return (4, int.from_bytes(inet_pton(AF_INET, text)))
        address = ipaddress.IPv6Address(text)
    except (ValueError, OSError):
        return MISSING
    if address.ipv4_mapped is not None:
        return (4, int(address.ipv4_mapped))
    return (6, int(address))


def ip_operand(value: Value, tz: tzinfo | None) -> Value:
    """Return the address or block after `as: ip`; raises OperandError."""
    if type(value) is str:
        single: Value = to_ip(value)
        if single is not MISSING:
            return Network(single[0], single[1], 32 if single[0] == 4 else 128)
        try:
            network = ipaddress.ip_network(value.strip(), strict=False)
        except ValueError:
            pass
        else:
            address, bits = int(network.network_address), network.prefixlen
            if network.version == 6 and bits >= 96 and address >> 32 == _MAPPED:
                # Addresses in this block are read as the IPv4 addresses that they are.
                return Network(4, address & 0xFFFFFFFF, bits - 96)
            return Network(network.version, address, bits)
    raise OperandError("expected an IP address or a CIDR block", 'such as "203.0.113.9" or "10.0.0.0/8"')
