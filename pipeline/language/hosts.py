"""Host names in one spelling: UTS 46 without transitional mappings, as browsers read them.

``straße.example`` is ``xn--strae-oqa.example``, which has another owner than ``strasse.example``. Invalid
names (empty or long labels, undecodable ``xn--``, stray joiners) are refused. Underscores are accepted: real
receivers have them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

import idna

_LABEL: Final = re.compile(r"[a-z0-9_-]{1,63}")
_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\](?::[0-9]*)?")
_JOINERS: Final = ("\u200c", "\u200d")
_LONGEST: Final = 253


class HostError(ValueError):
    """A text that is no host name; says why."""


@lru_cache(maxsize=1024)
def to_ascii(host: str) -> str:
    """Return a host name as it is looked up and sent: ASCII, lower case, a final dot kept.

    Numbers and IPv6 addresses (without brackets) are returned unchanged. Raises HostError.
    """
    if ":" in host:
        return _ipv6(host)
    name = ".".join(_ascii_label(label) for label in _labels(host))
    if len(name.removesuffix(".")) > _LONGEST:
        raise HostError(f"`{name[:20]}...` is longer than the {_LONGEST} characters that a name may have")
    return name


@lru_cache(maxsize=4096)
def to_unicode(host: str) -> str:
    """Return a host name as people write it, the same for all its spellings. Raises HostError."""
    return ".".join(_decoded(label) for label in _labels(host))


def check_brackets(netloc: str) -> None:
    """Raise HostError where brackets in a URL's host hold no IPv6 address, or text follows them.

    `urllib` accepts both: ``[::1]x`` would be dialled as ``::1``, ``[v1.x]`` as a name.
    """
    if "[" not in netloc and "]" not in netloc:
        return
    found = _BRACKETS.fullmatch(netloc)
    if found is None:
        raise HostError(
            f"`{netloc}` is no host: brackets stand around an IPv6 address, and a port may follow"
        )
    if "%" in found[1]:
        raise HostError(f"`{found[1]}` has a zone: that is an interface of one machine, and is not dialled")
    _ipv6(found[1])


def for_tls(host: str) -> str:
    """Return the name that a certificate must prove: a final dot matters to the look-up only."""
    return host.removesuffix(".")


def _ipv6(host: str) -> str:
    try:
        IPv6Address(host.partition("%")[0])
    except ValueError:
        raise HostError(f"`{host}` is no IPv6 address") from None
    if not re.fullmatch(r"[0-9a-fA-F:.]+(%[0-9a-zA-Z._-]+)?", host):
        raise HostError(f"`{host}` is no IPv6 address")
    return host.lower()


def _labels(host: str) -> list[str]:
    """Return the mapped labels of a name; what they decode to is not checked yet."""
    try:
        mapped = host.lower() if host.isascii() else idna.uts46_remap(host, std3_rules=False)
    except (idna.IDNAError, UnicodeError, IndexError):
        raise HostError(f"`{host}` holds a character that no host name has") from None
    labels = mapped.split(".")
    named = labels[:-1] if labels[-1] == "" and len(labels) > 1 else labels
    if not all(named):
        raise HostError(f"`{host}` has two dots in a row, or begins with one")
    return labels


def _ascii_label(label: str) -> str:
    if not label:
        return ""  # after a final dot
    decoded = _decoded(label)
    if not decoded.isascii() and len(decoded) <= 63:
        label = "xn--" + decoded.encode("punycode").decode("ascii")
    if len(label) > 63:
        raise HostError(f"`{label[:20]}...` is longer than the 63 characters that a part of a name may have")
    if not _LABEL.fullmatch(label):
        raise HostError(f"`{label}` holds a character that no host name has")
    return label


def _decoded(label: str) -> str:
    """Return a label in Unicode; raises HostError where it cannot be one."""
    if label.isascii():
        if not label.startswith("xn--"):
            return label
        if len(label) > 63:
            raise HostError(f"`{label[:20]}...` is longer than a part of a name may be")
        try:
            decoded = label[4:].encode("ascii").decode("punycode")
            good = not decoded.isascii() and idna.uts46_remap(decoded, std3_rules=False) == decoded
        except (idna.IDNAError, UnicodeError, ValueError, OverflowError, IndexError):
            good = False
        if not good:
            raise HostError(f"`{label}` begins with xn-- but stands for no name")
    else:
        decoded = label
    try:
        idna.check_initial_combiner(decoded)
        idna.check_bidi(decoded)
        joined = all(idna.valid_contextj(decoded, at) for at, each in enumerate(decoded) if each in _JOINERS)
    except (idna.IDNAError, ValueError):
        joined = False
    if not joined:
        raise HostError(f"`{label}` is no part of a host name: its characters do not go together")
    return decoded
