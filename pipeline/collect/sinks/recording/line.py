"""A member as a recorded line (the form: sources/files/recorded.py), without reading its value twice."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec
import orjson

from pipeline.collect.batch import Headers, Member
from pipeline.sources.files.recorded import Message, dump_line

SAME = "hk-same"
"""The header, always the first, from which a start learns what was kept lately."""

_RAW = msgspec.json.Decoder(msgspec.Raw)
_FLAT = 200
"""Brackets of a value that surely is not nested deeper than any reader of a line goes."""

_HEAD = len(b'{"hookline":1,"source":"","offset":0,"time":0')


def line_rests(members: Sequence[Member]) -> list[bytes]:
    """Return of each line what follows its number and time, with its line end."""
    rests = []
    seen: Headers | None = None
    shown = b""
    for member in members:
        headers = member.headers
        # The members of a request mostly share theirs.
        if headers is not seen:
            seen, shown = headers, _shown_headers(headers)
        user, same, value = member.user, member.same, member.value
        key = b"" if user is None else b',"key":' + _key(user)
        if same is not None:
            mark = b'["hk-same","%b"]' % same.hex().encode()
            key += b',"headers":[' + (mark + b"," + shown if shown else mark) + b"]"
        elif shown:
            key += b',"headers":[' + shown + b"]"
        rests.append(key + _value(value))
    return rests


def _value(value: bytes | None) -> bytes:
    if value is None:
        return b',"value":null}\n'
    if value != b"null" and b"\n" not in value and b"\r" not in value:
        # As it is only where a reader of the line finds the same bytes again.
        if value.count(b"{") + value.count(b"[") < _FLAT:
            try:
                if len(_RAW.decode(value)) == len(value):
                    return b',"value":' + value + b"}\n"
            except (msgspec.DecodeError, ValueError):
                pass
        else:
            return dump_line(Message("", 0, 0, None, None, value))[_HEAD:]
    return b',"value_base64":"' + base64.b64encode(value) + b'"}\n'


def _key(user: str) -> bytes:
    try:
        return orjson.dumps(user)
    except orjson.JSONEncodeError:  # half of a surrogate pair
        return orjson.dumps({"base64": base64.b64encode(user.encode("utf-8", "surrogatepass")).decode()})


def _shown_headers(headers: Headers) -> bytes:
    return orjson.dumps([[name, _text(value)] for name, value in headers])[1:-1]


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
