"""A receiver's credentials with secrets filled in, and the masking of those secrets in answers."""

from __future__ import annotations

import base64

from pipeline.config.models.webhooks.receiver import (
    BasicAuth,
    BearerAuth,
    HeaderAuth,
    HmacSignature,
    ReceiverSettings,
    StandardSignature,
)
from pipeline.deliver.http.target import check_header
from pipeline.deliver.requests.signing import HmacSigner, Signer, StandardSigner, hmac_key
from pipeline.language.secrets import SecretRef, Secrets
from pipeline.telemetry.log import hide


class UsedSecrets(Secrets):
    """Looks secrets up and remembers the values used, to mask them in answers."""

    def __init__(self, inner: Secrets) -> None:
        self._inner = inner
        self.masks = inner.masks
        self._seen: set[str] = set()

    def resolve(self, ref: SecretRef) -> str:
        """Return the value and remember it."""
        value = self._inner.resolve(ref)
        if value not in self._seen:
            self._seen.add(value)
            self.remember(value, str(ref))
        return value

    def known(self, ref: SecretRef) -> bool:
        """Return whether there is a value."""
        return self._inner.known(ref)

    def remember(self, value: str, shown: str, *, is_token: bool = False) -> None:
        """Mask this value from now on, in whatever form a receiver of this job may echo it.

        is_token: it replaces the one before, of those that are shown so.
        """
        of = (id(self), shown) if is_token else None
        self.masks.add(value, shown, of)
        hide(value, shown, of)

    def mask(self, text: str) -> str:
        """Return the text with ``${NAME}`` for every secret used by any webhook of the job."""
        return self.masks.mask(text)


def auth_headers(receiver: ReceiverSettings, secrets: UsedSecrets) -> bytes:
    """Return the header lines of basic, bearer or header authentication; b"" for OAuth2 and none.

    Raises ConfigError for a missing secret, TargetError for one that a header cannot carry.
    """
    match receiver.auth:
        case BasicAuth(username, password):
            pair = f"{value_of(secrets, username)}:{value_of(secrets, password)}"
            secrets.remember(pair, "${credentials}")
            return _line("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
        case BearerAuth(token):
            return _line("Authorization", "Bearer " + value_of(secrets, token))
        case HeaderAuth(name, value):
            return _line(name, value_of(secrets, value))
        case _:
            return b""


def make_signer(receiver: ReceiverSettings, secrets: UsedSecrets) -> Signer | None:
    """Return the signer of requests. Raises ConfigError, SecretError."""
    match receiver.signature:
        case StandardSignature(given):
            return StandardSigner([value_of(secrets, secret) for secret in given])
        case HmacSignature() as plain:
            prefix, secret = value_of(secrets, plain.prefix), value_of(secrets, plain.secret)
            check_header(plain.header, prefix)
            if plain.timestamp_header is not None:
                check_header(plain.timestamp_header, "")
            return HmacSigner(
                plain.header,
                hmac_key(secret, plain.secret_encoding),
                plain.algorithm,
                prefix,
                plain.encoding,
                signed=plain.signed,
                timestamp_header=plain.timestamp_header,
            )
        case _:
            return None


def value_of(secrets: Secrets, text: str) -> str:
    """Return a text with its secrets; a YAML block's final line end is not meant."""
    return secrets.expand(text).rstrip("\r\n")


def _line(name: str, value: str) -> bytes:
    check_header(name, value)
    return f"{name}: {value}\r\n".encode("latin-1")
