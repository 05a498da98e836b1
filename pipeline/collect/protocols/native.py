"""Hookline's own records over HTTP.

POST /v1/events      one record, an array of them, or one a line; any content type
Authorization: Bearer KEY, or ?key=KEY, or X-Write-Key: KEY
200 {"accepted":2,"repeats":0}
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from pipeline.collect.protocols import answers
from pipeline.collect.protocols.cutting import members
from pipeline.collect.protocols.cutting.clock import NONE, Shift
from pipeline.collect.protocols.cutting.keyless import Keyless, Names
from pipeline.collect.protocols.protocol import Cut, Piece, bearer
from pipeline.collect.request import Answer, Request
from pipeline.decode.raw.fields import FIRST_OF_ID


class _Look(msgspec.Struct, gc=False):
    type: Any = None
    id: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    time: Any = None


_NONE = Names()
_look = msgspec.json.Decoder(_Look).decode


class Native(answers.Plain):
    """``POST /v1/events``."""

    name = "native"

    def cut(self, request: Request, says: str) -> Cut:
        """Return the records of the body. Raises Malformed."""
        credential = credential_of(request)
        verdicts = request.headers.get("x-hookline-verify") == "1"
        one = self._usual(request, credential)
        if one is not None:
            return Cut(self, credential, (one,), verdicts=verdicts, are_good=True)
        keyless = Keyless(_NONE, credential)
        shift = Shift(self.settings.clock, request, None)
        found = members.lines(request.body, self.settings.limits)
        values = keyless.clean_all(found, request.body)
        pieces = [_piece(value, shift) for value in values]
        return Cut(self, credential, pieces, verdicts=verdicts, are_good=type(values) is members.Good)

    def accepted(self, request: Request, cut: Cut, repeats: int) -> Answer:
        """Return how many records are kept; ``repeats`` of them were already."""
        return _accepted(len(cut.pieces), repeats)

    def _usual(self, request: Request, credential: str | None) -> Piece | None:
        """Return the record of a body that is one, short, on one line, and shows neither key nor escape."""
        text = request.body
        if text[:1] != b"{" or text[-1:] != b"}" or b"\\" in text:
            return None
        if credential and credential.encode("utf-8", "surrogatepass") in text:
            return None
        alone = (text,)
        if len(text) > self.settings.limits.member_bytes or not members.are_good(alone, text):
            return None
        try:
            seen = _look(text)
        except members.NOT_SEEN:
            return None
        return _piece_of(
            text, seen, Shift(self.settings.clock, request, None) if seen.time is not None else None
        )


@lru_cache(maxsize=256)
def _accepted(members: int, repeats: int) -> Answer:
    return answers.as_json(200, {"accepted": members, "repeats": repeats})


def _piece(value: bytes, shift: Shift) -> Piece:
    try:
        seen = _look(value)
    except members.NOT_SEEN:
        return Piece(value)
    return _piece_of(value, seen, shift)


def _piece_of(value: bytes, seen: _Look, shift: Shift | None) -> Piece:
    at_ms, extra = (None, NONE) if shift is None else shift.of(seen.time)
    # A user's `id` may be anything; that of an event is its own.
    same, user, also = seen.id if seen.type == "event" else None, seen.user_id, seen.anonymous_id
    if same is not None and (type(same) is not str or same < FIRST_OF_ID):
        same = members.id_of(same)
    if also is not None and (type(also) is not str or also < FIRST_OF_ID):
        also = members.id_of(also)
    if type(user) is not str or user < FIRST_OF_ID:
        user = members.id_of(user) or also
    return Piece(value, user, at_ms, same, extra, also)


def credential_of(request: Request) -> str | None:
    """Return the key of a request that says it outside of its body."""
    given = bearer(request)
    return request.headers.get("x-write-key") or request.query.get("key") if given is None else given
