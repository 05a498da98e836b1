"""A receiver's credentials with their secrets put in, and the masking of those secrets in answers."""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

from pipeline.config.models.receiver import (
    BasicAuth,
    BearerAuth,
    HeaderAuth,
    HmacSignature,
    ReceiverSettings,
    StandardSignature,
)
from pipeline.deliver.http.target import check_header
from pipeline.deliver.requests.signing import HmacSigner, Signer, StandardSigner
from pipeline.language.secrets import SecretRef, Secrets
from pipeline.telemetry.log import hide

_GO = str.maketrans({"&": "\\u0026", "<": "\\u003c", ">": "\\u003e"})
_URL_SAFE = str.maketrans("+/", "-_")
_SHORTEST = 4
"""Shorter secrets are not searched for: masking them would black out half of every text."""


class UsedSecrets(Secrets):
    """Looks secrets up through another and remembers which values were used, to mask them in answers."""

    def __init__(self, inner: Secrets) -> None:
        self._inner = inner
        self._shown: dict[str, str] = {}

    def resolve(self, ref: SecretRef) -> str:
        """Return the value and remember it."""
        value = self._inner.resolve(ref)
        if value not in self._shown:
            self.remember(value, str(ref))
        return value

    def known(self, ref: SecretRef) -> bool:
        """Return whether there is a value."""
        return self._inner.known(ref)

    def remember(self, value: str, shown: str) -> None:
        """Mask this value from now on, also in the forms in which a receiver may show it back."""
        if len(value) < _SHORTEST:
            return
        for form in written_forms(value):
            self._shown[form] = shown
            hide(form, shown)

    def mask(self, text: str) -> str:
        """Return the text with ``${NAME}`` for every secret that was used, longest first."""
        for value in sorted(self._shown, key=len, reverse=True):
            if value in text:
                text = text.replace(value, self._shown[value])
        return text


def written_forms(value: str) -> set[str]:
    """Return a secret as texts show it: plain, percent-encoded, in base64, and as JSON and HTML escape it.

    JSON comes in several styles: with and without ASCII only, with ``\\/`` (PHP), with ``\\u0026`` for
    ``&``, ``<`` and ``>`` (Go).
    """
    percent = {quote(value, safe=""), quote(value), quote_plus(value)}
    plain, ascii_only = json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1]
    escaped = {plain, ascii_only, plain.translate(_GO), ascii_only.translate(_GO)}
    encoded = base64.b64encode(value.encode()).decode()
    return {
        value,
        html.escape(value),
        *percent,
        *(re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in percent),
        *escaped,
        *(form.replace("/", "\\/") for form in escaped),
        encoded.rstrip("="),
        encoded.rstrip("=").translate(_URL_SAFE),
    }


def auth_headers(receiver: ReceiverSettings, secrets: UsedSecrets) -> bytes:
    """Return the header lines of basic, bearer or header authentication; b"" for OAuth2 and none.

    Raises ConfigError for a missing secret, TargetError for one that a header cannot carry.
    """
    match receiver.auth:
        case BasicAuth(username, password):
            pair = f"{_value(secrets, username)}:{_value(secrets, password)}"
            secrets.remember(pair, "${credentials}")
            return _line("authorization", "Basic " + base64.b64encode(pair.encode()).decode())
        case BearerAuth(token):
            return _line("authorization", "Bearer " + _value(secrets, token))
        case HeaderAuth(name, value):
            return _line(name, _value(secrets, value))
        case _:
            return b""


def make_signer(receiver: ReceiverSettings, secrets: UsedSecrets) -> Signer | None:
    """Return what signs the requests. Raises ConfigError, SecretError."""
    match receiver.signature:
        case StandardSignature(given):
            return StandardSigner([_value(secrets, secret) for secret in given])
        case HmacSignature() as plain:
            check_header(plain.header, plain.prefix)
            secret = _value(secrets, plain.secret)
            return HmacSigner(plain.header, secret, plain.algorithm, plain.prefix, plain.encoding)
        case _:
            return None


def _value(secrets: Secrets, text: str) -> str:
    """Return a text with its secrets; a block of YAML ends with a line end that is not meant."""
    return secrets.expand(text).rstrip("\r\n")


def _line(name: str, value: str) -> bytes:
    check_header(name, value)
    return f"{name}: {value}\r\n".encode("latin-1")
