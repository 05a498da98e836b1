"""The members of a request's body, as raw bytes: never parsed and written again.

A body that is good JSON is cut by msgspec. Where one member holds NaN, a number beyond its bounds, a lone
surrogate or a thousand brackets, the same tolerant reader cuts that the job has for envelopes: the member is
kept as it came, and the job dead-letters it with its reason.
"""

from __future__ import annotations

import msgspec

from pipeline.collect.protocols.protocol import Malformed
from pipeline.decode import members as tolerant

_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_BAD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_BOM = b"\xef\xbb\xbf"


def of_body(body: bytes) -> list[bytes]:
    """Return the records of a body that is one object, an array of them, or an object a line.

    Raises Malformed where it is no JSON, or neither object nor array.
    """
    text = body.removeprefix(_BOM).strip()
    if not text:
        raise Malformed("the body is empty: a JSON object, an array or one object a line is wanted")
    first = text[:1]
    if first == b"[":
        try:
            return [bytes(raw) for raw in _raw_list(text)]
        except _BAD:
            found = tolerant.cut(text, ())
            if found is not None:
                return found[1]
    elif first == b"{":
        try:
            _raw_object(text)
            return [text]
        except _BAD:
            end = tolerant.end_of_value(text)
            if end == len(text):
                return [text]
            if end is not None or b"\n" in text:
                return [line for line in map(bytes.strip, text.split(b"\n")) if line]
    else:
        raise Malformed("the body is neither a JSON object nor an array")
    raise Malformed("the body is not JSON")
