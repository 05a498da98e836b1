"""Reads a body or query however it is encoded: decided by its bytes, never by its content type."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from typing import Final
from urllib.parse import parse_qsl

from pipeline.collect.http.unpack import UnpackError
from pipeline.collect.http.unpack import unpack as decompressed
from pipeline.collect.protocols.cutting.members import no_json
from pipeline.collect.protocols.packed import lz
from pipeline.collect.protocols.protocol import Limits, Malformed
from pipeline.collect.request import Request

_GZIP = b"\x1f\x8b"
_MOST_LAYERS = 4
_MOST_LZ_BYTES = 1 << 18
"""LZ-String is unpacked in Python, and everybody waits: 0.1 s for so much. Its SDKs sent 64 KiB at most."""
_MOST_FORM_BYTES = 2 << 20
"""Its escapes take forty times their memory. PostHog itself reads no more on its event paths."""
_MOST_FIELDS = 32
_HALF = re.compile(rb"\xed[\xa0-\xbf]")
"""The beginning of half a letter: it stands in no UTF-8."""
_ERRORS: Final = "surrogateescape"
"""Escapes of no UTF-8 keep their bytes: replaced, several ids would become one."""


def read(request: Request, limits: Limits, field: str = "data") -> tuple[bytes, dict[str, str]]:
    """Return the JSON of a request, and the fields beside it (of the query and of the form).

    Raises Malformed where there is none, or more of it than the limits allow.
    """
    beside = dict(request.query)
    packed = request.body.strip()
    wanted = field.encode() + b"="
    if packed.startswith(wanted) or (b"&" + wanted in packed and packed[0] not in b"{["):
        if len(packed) > _MOST_FORM_BYTES:
            raise Malformed(f"a form of more than {_MOST_FORM_BYTES:,} bytes is not read: send JSON", 413)
        try:
            form = dict(parse_qsl(packed.decode(), True, errors=_ERRORS, max_num_fields=_MOST_FIELDS))
        except ValueError:
            raise Malformed("the form cannot be read") from None
        packed = form.pop(field, "").encode("utf-8", _ERRORS)
        beside |= form
    elif not packed:
        packed = beside.pop(field, "").encode("utf-8", _ERRORS)
    beside.pop(field, None)
    return unpack(packed, beside.get("compression", ""), limits), beside


def unpack(packed: bytes, compression: str, limits: Limits) -> bytes:
    """Return the JSON inside. Raises Malformed."""
    text = packed.strip()
    if not text:
        raise Malformed("the request has no body and no data")
    for _ in range(_MOST_LAYERS):
        if text[0] in b"{[":
            return text
        if text.startswith(_GZIP):
            try:
                text = decompressed(None, text, limits.body_bytes).strip()
            except UnpackError as error:
                raise Malformed(error.message, error.status) from None
        elif compression == "lz64":
            text = _of_lz(text, limits.body_bytes).strip()
            compression = ""
        else:
            text = _of_base64(text).strip()
        if not text:
            break
    raise Malformed("the body is neither JSON nor JSON in base64, gzip or LZ-String")


def _of_base64(text: bytes) -> bytes:
    # A form that did not escape its plus signs has blanks there; browsers leave the padding out.
    letters = text.replace(b" ", b"+").replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    try:
        found = b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise no_json(text, or_in=", nor one in base64") from None
    return found if _HALF.search(found) is None else _joined(found)


def _joined(text: bytes) -> bytes:
    """Return a text in which both halves of an emoji are one letter.

    Mixpanel's library for pages, and once PostHog's, encode each of JavaScript's 16 bit letters by itself.
    """
    try:
        halves = text.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return text
    whole = halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return whole.encode("utf-8", "surrogatepass")


def _of_lz(text: bytes, most: int) -> bytes:
    if len(text) > _MOST_LZ_BYTES:
        raise Malformed(f"LZ-String of more than {_MOST_LZ_BYTES:,} bytes is not read: send gzip", 413)
    try:
        return lz.decompress(text.decode("ascii").replace(" ", "+"), most).encode("utf-8", "surrogatepass")
    except ValueError as error:
        raise Malformed(f"the body is no LZ-String: {error}") from None
