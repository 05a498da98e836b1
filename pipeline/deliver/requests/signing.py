"""Signatures: Standard Webhooks (v1 HMAC-SHA256, v1a ed25519; several secrets while rotating), plain HMAC.

Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from binascii import b2a_base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_IPAD = bytes(byte ^ 0x36 for byte in range(256))
_OPAD = bytes(byte ^ 0x5C for byte in range(256))


class SecretError(ValueError):
    """A signing secret cannot be read; the text never shows it."""


class Signer(Protocol):
    """Makes the header lines that sign one request."""

    def lines(self, message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
        """Return whole header lines, each with its line end."""


class StandardSigner:
    """``webhook-signature`` with one signature per secret, separated by blanks."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """secrets: ``whsec_`` or bare base64 (v1), ``whsk_`` (v1a). Raises SecretError."""
        if not secrets:
            raise SecretError("standard_webhooks needs at least one secret")
        self._symmetric: list[tuple[Any, Any]] = []
        self._asymmetric: list[Ed25519PrivateKey] = []
        for secret in secrets:
            if secret.startswith("whsk_"):
                self._asymmetric.append(_private_key(secret))
            else:
                self._symmetric.append(prepared_hmac(_decode(secret.removeprefix("whsec_")), "sha256"))
        self._only = self._symmetric[0] if len(secrets) == 1 and self._symmetric else None

    def lines(self, message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
        """Return the ``webhook-signature`` line."""
        signed = b".".join((message_id, timestamp, body))
        if self._only is not None:
            inner, outer = self._only
            first = inner.copy()
            first.update(signed)
            second = outer.copy()
            second.update(first.digest())
            return b"webhook-signature: v1,%b\r\n" % b2a_base64(second.digest(), newline=False)
        signatures = []
        # Copying prepared hash objects costs half of what hmac.digest does (DESIGN 9.7).
        for inner, outer in self._symmetric:
            first = inner.copy()
            first.update(signed)
            second = outer.copy()
            second.update(first.digest())
            signatures.append(b"v1," + b2a_base64(second.digest(), newline=False))
        for key in self._asymmetric:
            signatures.append(b"v1a," + b2a_base64(key.sign(signed), newline=False))
        return b"".join((b"webhook-signature: ", b" ".join(signatures), b"\r\n"))


class HmacSigner:
    """A plain HMAC in a header of its own: of the body, as GitHub does, or with a time, as Slack does."""

    def __init__(
        self,
        header: str,
        key: bytes,
        algorithm: str,
        prefix: str,
        encoding: str,
        *,
        signed: str = "{body}",
        timestamp_header: str | None = None,
    ) -> None:
        before, _, after = signed.partition("{body}")
        self._before, self._after = before.encode(), after.encode()
        self._start = f"{header}: {prefix}".encode("latin-1")
        if timestamp_header is not None:
            self._start = b"%b: {timestamp}\r\n%b" % (timestamp_header.encode("ascii"), self._start)
        self._inner, self._outer = prepared_hmac(key, algorithm)
        self._hex = encoding == "hex"
        self._plain = not (self._before or self._after or b"{" in self._start)

    def lines(self, message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
        """Return the header line, and that of its time where the receiver wants one."""
        inner, start = self._inner.copy(), self._start
        if self._plain:
            inner.update(body)
        else:
            inner.update(_filled(self._before, message_id, timestamp))
            inner.update(body)
            inner.update(_filled(self._after, message_id, timestamp))
            start = _filled(start, message_id, timestamp)
        outer = self._outer.copy()
        outer.update(inner.digest())
        shown = outer.hexdigest().encode() if self._hex else b2a_base64(outer.digest(), newline=False)
        return b"%b%b\r\n" % (start, shown)


def _filled(text: bytes, message_id: bytes, timestamp: bytes) -> bytes:
    return text.replace(b"{timestamp}", timestamp).replace(b"{id}", message_id)


def hmac_key(secret: str, encoding: str) -> bytes:
    """Return the key that a secret is. encoding: text, base64 (also after ``whsec_``) or hex.

    Raises SecretError.
    """
    if encoding == "text":
        return secret.encode()
    try:
        if encoding == "hex":
            return bytes.fromhex(secret)
        return base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    except ValueError:
        raise SecretError(f"the secret is no {encoding}, as `secret_encoding` says") from None


def prepared_hmac(key: bytes, algorithm: str) -> tuple[Any, Any]:
    """Return the inner and outer hash objects of an HMAC (RFC 2104), ready to be copied."""
    block = hashlib.new(algorithm).block_size
    if len(key) > block:
        key = hashlib.new(algorithm, key).digest()
    key = key.ljust(block, b"\0")
    return hashlib.new(algorithm, key.translate(_IPAD)), hashlib.new(algorithm, key.translate(_OPAD))


def _private_key(secret: str) -> Ed25519PrivateKey:
    # Imported late: few webhooks use v1a, and the package takes longer to load than the whole engine.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    raw = _decode(secret.removeprefix("whsk_"))
    if len(raw) not in (32, 64):
        raise SecretError("a whsk_ secret is base64 of 32 bytes (seed) or 64 (seed and public key)")
    return Ed25519PrivateKey.from_private_bytes(raw[:32])


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError("a Standard Webhooks secret is base64 after its whsec_ or whsk_") from None
