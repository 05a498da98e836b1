"""Verifies signatures of incoming webhooks: over the raw body, in constant time, with any of the secrets.

Each way says which header holds the signatures, what is signed, and which headers are worth keeping: the name
of the event, the delivery and the account. Signatures are never kept.

Sources: docs.stripe.com/webhooks, docs.github.com (validating webhook deliveries), shopify.dev (HTTPS
webhooks), github.com/standard-webhooks.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.model.errors import ConfigError

WINDOW_SECS = 300
"""How far from now a signed timestamp may be: what is older may be a replay."""

Headers = Mapping[str, str]
_BLANK = " \t"
"""Around a header's value; a no-break space is part of it."""


class Unverified(Exception):
    """The signature does not hold; the text says why, for the sender."""


@dataclass(slots=True, frozen=True)
class Way:
    """One party's way to sign."""

    check: Callable[[Headers, bytes, Sequence[bytes], float], None]
    """(headers, body, secrets, now in unix seconds); raises Unverified."""
    kept: tuple[str, ...]
    """Headers that go with the record."""
    delivery: tuple[str, ...]
    """The headers that name the delivery: the same when it is repeated. No others are asked: what is not
    signed, and not the party's own, anybody could write anew beside what was once sent.
    """
    prepare: Callable[[str], bytes] = str.encode
    """A configured secret -> the key of the HMAC. Raises ConfigError."""


def _stripe(headers: Headers, body: bytes, secrets: Sequence[bytes], now: float) -> None:
    parts = [part.strip().partition("=") for part in _header(headers, "stripe-signature").split(",")]
    stamp = next((value for name, _, value in parts if name == "t"), "")
    _fresh(stamp, now)
    given = [value for name, _, value in parts if name == "v1"]
    _same(given, (_hex(secret, stamp.encode() + b"." + body) for secret in secrets))


def _github(headers: Headers, body: bytes, secrets: Sequence[bytes], now: float) -> None:
    given = _header(headers, "x-hub-signature-256")
    _same([given], ("sha256=" + _hex(secret, body) for secret in secrets))


def _shopify(headers: Headers, body: bytes, secrets: Sequence[bytes], now: float) -> None:
    _same([_header(headers, "x-shopify-hmac-sha256")], (_base64(secret, body) for secret in secrets))


def _standard(headers: Headers, body: bytes, secrets: Sequence[bytes], now: float) -> None:
    stamp = _header(headers, "webhook-timestamp", "svix-timestamp")
    _fresh(stamp, now)
    name = _header(headers, "webhook-id", "svix-id")
    signed = f"{name}.{stamp}.".encode() + body
    given = _header(headers, "webhook-signature", "svix-signature").replace(",v1,", " v1,").split()
    _same(given, ("v1," + _base64(secret, signed) for secret in secrets))


def first_of(headers: Headers, names: Iterable[str]) -> str | None:
    """Return the first of these headers that is there and not blank, as HTTP has it; None where none is.

    Whoever looks for what was signed has to ask so, too: to another eye another header may be the first.
    """
    return next((found for name in names if (found := headers.get(name, "").strip(_BLANK))), None)


def _header(headers: Headers, *names: str) -> str:
    found = first_of(headers, names)
    if found is None:
        raise Unverified(f"the header {names[0]} is missing")
    return found


def _fresh(stamp: str, now: float) -> None:
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 15):
        raise Unverified("the signed timestamp is no unix time")
    if abs(now - int(stamp)) > WINDOW_SECS:
        raise Unverified(f"the signed timestamp is more than {WINDOW_SECS} s away from now")


def _same(given: Sequence[str], wanted: Iterable[str]) -> None:
    # All are compared, whatever is found: how long it takes tells nothing.
    texts = [text.encode("utf-8", "surrogatepass") for text in given]
    found = [hmac.compare_digest(text, one.encode()) for one in wanted for text in texts]
    if not any(found):
        raise Unverified("the signature is not that of a known secret")


def _hex(secret: bytes, signed: bytes) -> str:
    return hmac.new(secret, signed, hashlib.sha256).hexdigest()


def _base64(secret: bytes, signed: bytes) -> str:
    return b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def _whsec(secret: str) -> bytes:
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ConfigError("a Standard Webhooks secret is base64 after its whsec_")
    return key


WAYS = {
    "stripe": Way(_stripe, ("stripe-account",), ()),
    "github": Way(
        _github,
        (
            "x-github-event",
            "x-github-delivery",
            "x-github-hook-id",
            "x-github-hook-installation-target-id",
            "x-github-hook-installation-target-type",
        ),
        ("x-github-delivery",),
    ),
    "shopify": Way(
        _shopify,
        (
            "x-shopify-topic",
            "x-shopify-webhook-id",
            "x-shopify-event-id",
            "x-shopify-shop-domain",
            "x-shopify-api-version",
            "x-shopify-triggered-at",
        ),
        ("x-shopify-webhook-id",),
    ),
    "standard_webhooks": Way(
        _standard,
        ("webhook-id", "webhook-timestamp", "svix-id", "svix-timestamp"),
        ("webhook-id", "svix-id"),
        _whsec,
    ),
}
"""By the name that `verify` gives them."""
