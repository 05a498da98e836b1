"""Secrets in a rendered request: slots that stay empty until it is sent.

A slot is the control character 01, the placeholder's text, and the control character 02. User data can never
produce either character (JSON escapes them, percent-encoding encodes them, header values and text bodies that
contain them are refused), so data cannot forge a slot. Outbox, dead letters and dry runs hold slots or their
masked form, never values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal, TypeVar
from urllib.parse import quote, quote_plus

import orjson

from pipeline.language.secrets import SecretRef, Secrets
from pipeline.model.errors import RenderError

Headers = tuple[tuple[str, str], ...]
Encoding = Literal["json", "form", "text"]

OPEN, CLOSE = "\x01", "\x02"
_SLOT = re.compile(OPEN + "([^\x02]*)" + CLOSE)
_SLOT_BYTES = re.compile(_SLOT.pattern.encode())

PATH_SAFE = "/:@!$&'()*+,;=~-._"
"""Characters allowed unencoded in a URL's path (RFC 3986, pchar and the slash)."""

_HEADER_TEXT = re.compile(r"[\t\x20-\x7e]*")

T = TypeVar("T", str, bytes)


def slot(ref: SecretRef) -> str:
    """Return the slot that stands for a secret."""
    return OPEN + ref.source + CLOSE


def without_slots(text: str) -> str:
    """Return the text around the slots."""
    return _SLOT.sub("", text)


def header_safe(value: str) -> bool:
    """Return whether a text may stand in a header: printable ASCII, blanks and tabs only."""
    return _HEADER_TEXT.fullmatch(value) is not None


def fill(
    url: str, headers: Headers, body: bytes, *, encoding: Encoding, secrets: Secrets
) -> tuple[str, Headers, bytes]:
    """Return URL, headers and body with every slot replaced by its value, escaped for its place.

    In a path a secret's slashes stay slashes (Slack's tokens contain some); in a query everything is encoded.
    Raises ConfigError for a missing secret, RenderError for one that a header cannot hold.
    """
    if OPEN in url:
        path, mark, query = url.partition("?")
        path = _SLOT.sub(lambda found: quote(_value(found.group(1), secrets), safe=PATH_SAFE), path)
        query = _SLOT.sub(lambda found: quote(_value(found.group(1), secrets), safe=""), query)
        url = path + mark + query
    if any(OPEN in value for _, value in headers):
        headers = tuple((name, _fill_header(value, secrets)) for name, value in headers)
    if b"\x01" in body:
        escape = _ESCAPES[encoding]
        body = _SLOT_BYTES.sub(lambda found: escape(_value(found.group(1).decode(), secrets)), body)
    return url, headers, body


def mask(text: T) -> T:
    """Return a text with ``${NAME}`` for every slot; in the query of a URL percent-encoded."""
    if isinstance(text, bytes):
        # What looks like a slot in an unreadable record need not be text.
        return _SLOT_BYTES.sub(
            lambda found: _json(_shown(found.group(1).decode("utf-8", "backslashreplace"))), text
        )
    if OPEN not in text:
        return text
    if text.startswith(("http://", "https://")):
        path, mark, query = text.partition("?")
        query = _SLOT.sub(lambda found: quote(_shown(found.group(1)), safe=""), query)
        return _SLOT.sub(lambda found: _shown(found.group(1)), path) + mark + query
    return _SLOT.sub(lambda found: _shown(found.group(1)), text)


def _shown(source: str) -> str:
    return str(SecretRef.parse(source))


def _value(source: str, secrets: Secrets) -> str:
    return secrets.resolve(SecretRef.parse(source))


def _json(value: str) -> bytes:
    return orjson.dumps(value)[1:-1]


def _form(value: str) -> bytes:
    return quote_plus(value).encode()


_ESCAPES: Final[dict[Encoding, Callable[[str], bytes]]] = {"json": _json, "form": _form, "text": str.encode}
"""How a secret is written in a body."""


def _fill_header(text: str, secrets: Secrets) -> str:
    def one(found: re.Match[str]) -> str:
        value = _value(found.group(1), secrets)
        if not header_safe(value):
            raise RenderError(f"secret {_shown(found.group(1))} holds what a header cannot carry")
        return value

    return _SLOT.sub(one, text)
