"""A member as a recorded line (the form: sources/files/lines/recorded.py); its value is read once."""

from __future__ import annotations

import base64
from binascii import hexlify
from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import orjson

from pipeline.collect.batch import Headers, Member
from pipeline.collect.protocols.cutting.members import which_are_good
from pipeline.sources.files.lines.recorded import Message, dump_line

SAME = "hk-same"
"""The header, always the first, from which a start learns what was kept lately."""

_FEW = 2
"""So many headers are ours, and always the same: the others may be anything, of any size."""
_HEAD = len(b'{"hookline":1,"source":"","offset":0,"time":0')


def line_rests(members: Sequence[Member], are_good: bool | list[bool] = False) -> list[bytes]:
    """Return of each line what follows its number and time, with its line end; see `Batch.are_good`."""
    if are_good is True and (alike := _alike(members)) is not None:
        return alike
    rests = []
    seen: Headers | None = None
    only = after = b""
    values = [member.value for member in members]
    if type(are_good) is bool:
        are_good = [True] * len(values) if are_good else which_are_good(values)
    for member, value, is_good in zip(members, values, are_good, strict=True):
        headers = member.headers
        # The members of a request mostly share theirs.
        if headers is not seen:
            seen, shown = headers, _shown_headers(headers)
            only = b',"headers":[' + shown + b"]" if shown else b""
            after = b'"],' + shown + b"]" if shown else b'"]]'
        user, same = member.user, member.same
        if is_good and value is not None and user is not None and same is not None:
            # Nearly all of them, in one step.
            with_key = (_key(user), hexlify(same), after, value)
            rests.append(b',"key":%b,"headers":[["hk-same","%b%b,"value":%b}\n' % with_key)
            continue
        rest = b"" if user is None else b',"key":' + _key(user)
        if same is not None:
            rest += b',"headers":[["hk-same","' + hexlify(same) + after
        else:
            rest += only
        rests.append(rest + (b',"value":' + value + b"}\n" if is_good and value else _value(value)))
    return rests


def _alike(members: Sequence[Member]) -> list[bytes] | None:
    """Return what `line_rests` does, of good members that have all there is and share their headers."""
    first = members[0]
    headers = first.headers
    if len(members) == 1:
        if first.user is None or first.same is None or len(headers) > _FEW:
            return None
        try:
            key = orjson.dumps(first.user)
        except orjson.JSONEncodeError:
            return None
        return [_form(tuple(headers)) % (key, hexlify(first.same), first.value)]
    users = [member.user for member in members if member.headers is headers]
    sames = cast(list[bytes], [member.same for member in members])
    if len(users) < len(sames) or None in users or None in sames:
        return None
    values = cast(list[bytes], [member.value for member in members])
    try:
        keys = list(map(orjson.dumps, users))
    except orjson.JSONEncodeError:  # half of a surrogate pair
        return None
    form = _form(tuple(headers)) if len(headers) <= _FEW else _form.__wrapped__(headers)
    return list(map(form.__mod__, zip(keys, map(hexlify, sames), values, strict=True)))


@lru_cache(maxsize=256)
def _form(headers: Headers) -> bytes:
    """Return the end of a line up to its key, digest and value."""
    shown = (b"," + _shown_headers(headers)).replace(b"%", b"%%")
    return b',"key":%b,"headers":[["hk-same","%b"]' + shown + b'],"value":%b}\n'


def _value(value: bytes | None) -> bytes:
    # Read as the line's readers do.
    return dump_line(Message("", 0, 0, None, None, value))[_HEAD:]


def _key(user: str) -> bytes:
    try:
        return orjson.dumps(user)
    except orjson.JSONEncodeError:  # half of a surrogate pair
        return orjson.dumps({"base64": base64.b64encode(user.encode("utf-8", "surrogatepass")).decode()})


def _shown_headers(headers: Headers) -> bytes:
    named = [[name, _text(value)] for name, value in headers]
    try:
        return orjson.dumps(named)[1:-1]
    except orjson.JSONEncodeError:  # half of a surrogate pair in a name
        return orjson.dumps([[str(name).encode(errors="replace").decode(), text] for name, text in named])[
            1:-1
        ]


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
