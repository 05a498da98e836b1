"""Verifies signatures of requests; written from the standard, independently of Hookline's signing code.

Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence

TOLERANCE_SECS = 300.0


def check_request(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now_secs: float
) -> str | None:
    """Return what is wrong with a request's Standard Webhooks signature; None where it is valid.

    headers: lower-case names. secrets: ``whsec_`` (v1), ``whpk_`` (public key, v1a); any may match.
    """
    message_id, timestamp = headers.get("webhook-id"), headers.get("webhook-timestamp")
    given = headers.get("webhook-signature")
    if not message_id or not timestamp:
        return "no webhook-id or no webhook-timestamp"
    if not given:
        return "no webhook-signature"
    if not timestamp.isdecimal() or abs(int(timestamp) - now_secs) > TOLERANCE_SECS:
        return f"webhook-timestamp {timestamp} is not within {TOLERANCE_SECS:g} s of now"
    return None if is_signed(secrets, message_id, timestamp, body, given) else "no signature matches"


def is_signed(secrets: Sequence[str], message_id: str, timestamp: str, body: bytes, given: str) -> bool:
    """Return whether one of the signatures in the header is valid for one of the secrets."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    for each in given.split():
        version, _, text = each.partition(",")
        try:
            signature = base64.b64decode(text, validate=True)
        except binascii.Error:
            continue
        if any(_matches(secret, version, signed, signature) for secret in secrets):
            return True
    return False


def _matches(secret: str, version: str, signed: bytes, signature: bytes) -> bool:
    if version == "v1" and not secret.startswith("whpk_"):
        key = base64.b64decode(secret.removeprefix("whsec_"))
        return hmac.compare_digest(hmac.digest(key, signed, "sha256"), signature)
    if version == "v1a" and secret.startswith("whpk_"):
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(secret.removeprefix("whpk_")))
        try:
            public.verify(signature, signed)
        except InvalidSignature:
            return False
        return True
    return False
