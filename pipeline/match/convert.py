"""What `as:` does: turns a value into another before it is compared.

Each conversion has two sides. `value` takes what an event or a user has and returns MISSING where it cannot
be converted; `operand` takes what a config says and raises OperandError, so that a mistake is found at load.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import orjson

from pipeline.model.records import MISSING, Json, Missing
from pipeline.model.times import EPOCH, parse_time

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_VERSION: Final = re.compile(
    r"[vV]?((?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)
_HOST: Final = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W_](?:[\w-]*[^\W_])?\.?")
_LABELS: Final = re.compile(r"[\w.-]+")
_HOUR: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_ZONELESS: Final = re.compile(r"(?:Z|z|[+-][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2})?)?)\s*$", re.ASCII)
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY_NAMES: Final = {
    "monday": 0,
    "tuesday": 1,
    "wednesday": 2,
    "thursday": 3,
    "friday": 4,
    "saturday": 5,
    "sunday": 6,
    **{name: index for index, name in enumerate(WEEKDAYS)},
}


class OperandError(ValueError):
    """An operand that cannot be used; ``hint`` is the remedy."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(slots=True, frozen=True)
class Conversion:
    """One word after `as:`. The converted values of one conversion all compare with one another."""

    name: str
    meaning: str
    value: Callable[[Json, tzinfo | None], Json | Missing]
    operand: Callable[[Json, tzinfo | None], Json]
    operators: frozenset[str]
    """Operators that make sense after it, beside exists and present."""
    operands: str
    examples: tuple[tuple[Json, str, Json, bool], ...]
    """(value, operator, operand, holds), run by the tests and printed in the reference."""
    whole: bool = False
    """True: an array is converted as one value, not element by element."""
    zoned: bool = False
    """True: `tz:` has a meaning."""
    circular: bool = False
    """True: `between` may run over the end (22:00 to 06:00, fri to mon)."""


_EQUALITY = frozenset({"eq", "ne", "in", "not_in"})
_ORDER = frozenset({"gt", "gte", "lt", "lte", "between"})
_TEXT = frozenset({"contains", "not_contains", "starts_with", "ends_with", "glob", "regex"})


# --- number


def to_number(value: Json, tz: tzinfo | None = None) -> Json | Missing:
    """Return numbers as they are and text that is a number exactly; others are missing."""
    if type(value) is int or type(value) is float:
        return value
    if type(value) is not str:
        return MISSING
    text = value.strip()
    if len(text) > 400 or not _NUMBER.fullmatch(text):
        return MISSING
    try:
        return int(text)
    except ValueError:
        number = float(text)
    return number if abs(number) != float("inf") else MISSING


def _number_operand(value: Json, tz: tzinfo | None) -> Json:
    number = to_number(value)
    if number is MISSING:
        raise OperandError("a number is wanted here")
    return number


# --- text


def to_text(value: Json, tz: tzinfo | None = None) -> Json | Missing:
    """Return the text of scalars as JSON writes them; null, arrays and objects are missing."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value) if -(1 << 1000) < value < 1 << 1000 else MISSING
    if type(value) is float:
        return orjson.dumps(value).decode()
    return MISSING


def _text_operand(value: Json, tz: tzinfo | None) -> Json:
    text = to_text(value)
    if text is MISSING:
        raise OperandError("a text is wanted here")
    return text


# --- date


def to_date(value: Json, tz: tzinfo | None = None) -> Json | Missing:
    """Return milliseconds for ISO 8601 (without zone: in ``tz``, else UTC), unix seconds or milliseconds."""
    if type(value) is bool:
        return MISSING
    try:
        ms = parse_time(value)
    except (ValueError, OverflowError):
        return MISSING
    if tz is None or type(value) is not str or _ZONELESS.search(value, 10) or value.strip().isdigit():
        return ms
    return ms - _offset(ms, tz, local=True)


def _offset(ms: int, tz: tzinfo, *, local: bool = False) -> int:
    """Return by how many milliseconds the zone is ahead of UTC then."""
    try:
        at = EPOCH + timedelta(milliseconds=ms)
        at = at.replace(tzinfo=tz) if local else at.astimezone(tz)
        ahead = at.utcoffset()
    except (OverflowError, ValueError):
        return 0  # the first and last hours of the years 1 to 9999
    return 0 if ahead is None else ahead // timedelta(milliseconds=1)


def _date_operand(value: Json, tz: tzinfo | None) -> Json:
    ms = to_date(value, tz)
    if ms is MISSING:
        raise OperandError(
            "a date is wanted here",
            'ISO 8601 ("2026-01-31", "2026-01-31T09:00:00Z"), unix seconds, or relative to the event: -30d',
        )
    return ms


def to_weekday(value: Json, tz: tzinfo | None = None) -> Json | Missing:
    """Return 0 (Monday) to 6 for a date, in the zone."""
    ms = to_date(value, tz)
    if type(ms) is not int:
        return MISSING
    if tz is not None:
        ms += _offset(ms, tz)
    return (ms // 86_400_000 + 3) % 7


def _weekday_operand(value: Json, tz: tzinfo | None) -> Json:
    day = _WEEKDAY_NAMES.get(value.lower()) if type(value) is str else None
    if day is None:
        raise OperandError("a weekday is wanted here", "mon, tue, wed, thu, fri, sat or sun")
    return day


def to_hour(value: Json, tz: tzinfo | None = None) -> Json | Missing:
    """Return the minute of the day (0 to 1439) of a date, in the zone."""
    ms = to_date(value, tz)
    if type(ms) is not int:
        return MISSING
    if tz is not None:
        ms += _offset(ms, tz)
    return ms // 60_000 % 1440


def _hour_operand(value: Json, tz: tzinfo | None) -> Json:
    found = _HOUR.fullmatch(value) if type(value) is str else None
    if found is None:
        raise OperandError("a time of day is wanted here", 'such as "09:00" or "17:30"')
    return int(found[1]) * 60 + int(found[2])


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo | None:
    """Return the IANA time zone, or None where there is none of that name."""
    if len(name) > 100 or "\x00" in name:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ImportError, LookupError):
        return None  # zoneinfo raises each of these for names that are paths, folders or unknown


# --- version


def to_version(value: Json, tz: tzinfo | None = None) -> Json | Missing:
    """Return a key in semver order; ``v1.2``, ``1.2.3.4`` and numbers are taken, build data ignored."""
    if type(value) is int or type(value) is float:
        value = to_text(value)
    found = _VERSION.fullmatch(value.strip()) if type(value) is str and len(value) <= 256 else None
    if found is None:
        return MISSING
    numbers = [int(part) for part in found[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    if found[2] is None:
        return (tuple(numbers), (1,))
    rest: list[tuple[int, int, str]] = []
    for part in found[2].split("."):
        if not part or (part.isdigit() and len(part) > 1 and part[0] == "0"):
            return MISSING
        rest.append((0, int(part), "") if part.isdigit() else (1, 0, part))
    return (tuple(numbers), (0, tuple(rest)))


def _version_operand(value: Json, tz: tzinfo | None) -> Json:
    version = to_version(value)
    if version is MISSING or type(value) is float:
        raise OperandError("a version is wanted here", 'a text such as "4.10.1" (quoted)')
    return version


# --- domain


def to_domain(value: Json, tz: tzinfo | None = None) -> Json | Missing:
    """Return the lower-case domain of an e-mail address, a URL or a bare host name."""
    if type(value) is not str or len(value) > 8192:
        return MISSING
    text = value.strip()
    if "://" in text or text.startswith("//"):
        try:
            host = urlsplit(text).hostname or ""
        except ValueError:
            return MISSING
        return host.rstrip(".").lower() if _LABELS.fullmatch(host) else MISSING
    if "@" in text:
        if text[:7].lower() == "mailto:":
            text = text[7:].split("?", 1)[0]
        local, _, host = text.rpartition("@")
        return host.rstrip(".").lower() if local and host and _LABELS.fullmatch(host) else MISSING
    return text.rstrip(".").lower() if _HOST.fullmatch(text) else MISSING


def _domain_operand(value: Json, tz: tzinfo | None) -> Json:
    if type(value) is not str or not value.strip():
        raise OperandError("a domain is wanted here", "such as acme.com")
    if "@" in value or "/" in value:
        raise OperandError(f'"{value}" is more than a domain', "write the part after `@` or `//`: acme.com")
    return value.strip().rstrip(".").lower()


# --- ip


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

    def __contains__(self, value: Json | Missing) -> bool:
        if type(value) is not tuple:
            return False
        version, address = value
        width = 32 if version == 4 else 128
        return any(
            version == other and address >> (width - bits) in found for other, bits, found in self._blocks
        )


def to_ip(value: Json, tz: tzinfo | None = None) -> Json | Missing:
    """Return (version, number) of an IP address; an IPv4-mapped one is the IPv4 address in it."""
    if type(value) is not str:
        return MISSING
    try:
        address = ipaddress.ip_address(value.strip())
    except ValueError:
        return MISSING
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return (address.version, int(address))


def _ip_operand(value: Json, tz: tzinfo | None) -> Json:
    if type(value) is str:
        single: Json = to_ip(value)
        if single is not MISSING:
            return Network(single[0], single[1], 32 if single[0] == 4 else 128)
        try:
            network = ipaddress.ip_network(value.strip(), strict=False)
        except ValueError:
            pass
        else:
            return Network(network.version, int(network.network_address), network.prefixlen)
    raise OperandError(
        "an IP address or a CIDR block is wanted here", 'such as "203.0.113.9" or "10.0.0.0/8"'
    )


# --- size


def to_size(value: Json, tz: tzinfo | None = None) -> Json | Missing:
    """Return how many characters a text, elements an array, or keys an object has."""
    return len(value) if type(value) in (str, list, dict) else MISSING


def _size_operand(value: Json, tz: tzinfo | None) -> Json:
    if type(value) is not int:
        raise OperandError("a whole number is wanted here")
    return value


CONVERSIONS: Final[dict[str, Conversion]] = {
    conversion.name: conversion
    for conversion in (
        Conversion(
            "number",
            "text that is a number becomes that number, exactly",
            to_number,
            _number_operand,
            _EQUALITY | _ORDER,
            "number",
            (
                ("500", "gte", 500, True),
                ("4.5", "eq", 4.5, True),
                ("abc", "gte", 0, False),
                (True, "eq", 1, False),
            ),
        ),
        Conversion(
            "text",
            "numbers and booleans become their text",
            to_text,
            _text_operand,
            _EQUALITY | _ORDER | _TEXT,
            "text",
            ((5, "eq", "5", True), (True, "eq", "true", True), (4915, "starts_with", "49", True)),
        ),
        Conversion(
            "date",
            "ISO 8601, unix seconds or milliseconds become a moment",
            to_date,
            _date_operand,
            _EQUALITY | _ORDER | {"before", "after"},
            "date, or relative to the event: -30d, now",
            (
                ("2026-01-31T00:00:00Z", "eq", 1769817600, True),
                ("2026-01-31", "lt", "2026-02-01", True),
                ("soon", "gt", "2000-01-01", False),
            ),
            zoned=True,
        ),
        Conversion(
            "version",
            "semantic version order",
            to_version,
            _version_operand,
            _EQUALITY | _ORDER,
            "version",
            (
                ("4.10.1", "gt", "4.9.0", True),
                ("5.0.0-rc.1", "lt", "5.0.0", True),
                ("4.9", "eq", "4.9.0", True),
                ("latest", "gt", "0.0.1", False),
            ),
        ),
        Conversion(
            "domain",
            "the domain of an e-mail address or URL, in lower case",
            to_domain,
            _domain_operand,
            _EQUALITY | _TEXT,
            "text",
            (
                ("Ann@Acme.com", "eq", "acme.com", True),
                ("https://shop.acme.com:8080/x", "ends_with", ".acme.com", True),
                ("not an address", "ne", "acme.com", True),
            ),
        ),
        Conversion(
            "ip",
            "an IP address; an operand may be a CIDR block",
            to_ip,
            _ip_operand,
            _EQUALITY,
            "IP address or CIDR block",
            (
                ("203.0.113.9", "in", ["203.0.113.0/24"], True),
                ("::ffff:203.0.113.9", "eq", "203.0.113.9", True),
                ("203.0.113.9", "not_in", ["10.0.0.0/8"], True),
            ),
        ),
        Conversion(
            "size",
            "how many characters a text, elements an array, or keys an object has",
            to_size,
            _size_operand,
            _EQUALITY | _ORDER,
            "whole number",
            ((["a", "b"], "gte", 2, True), ("abc", "eq", 3, True), (7, "gte", 0, False)),
            whole=True,
        ),
        Conversion(
            "weekday",
            "the day of the week of a date, in the time zone `tz`",
            to_weekday,
            _weekday_operand,
            _EQUALITY | _ORDER,
            "mon, tue, wed, thu, fri, sat or sun",
            (
                ("2026-11-23T14:50:00Z", "eq", "mon", True),
                ("2026-11-23T14:50:00Z", "in", ["sat", "sun"], False),
            ),
            zoned=True,
            circular=True,
        ),
        Conversion(
            "hour",
            "the time of day of a date (to the minute), in the time zone `tz`",
            to_hour,
            _hour_operand,
            _EQUALITY | _ORDER,
            'time of day such as "09:00"',
            (
                ("2026-11-23T14:50:00Z", "between", ["09:00", "17:30"], True),
                ("2026-11-23T23:10:00Z", "between", ["22:00", "06:00"], True),
            ),
            zoned=True,
            circular=True,
        ),
    )
}
