"""Hookline's own records over HTTP.

POST /v1/events      one record, an array of them, or one a line; any content type
Authorization: Bearer KEY, or ?key=KEY, or X-Write-Key: KEY
200 {"accepted":2,"repeats":0}
"""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.collect import members
from pipeline.collect.asked import Answer, Asked
from pipeline.collect.clock import Shift
from pipeline.collect.keyless import Keyless, Names
from pipeline.collect.protocols import answers
from pipeline.collect.protocols.protocol import Cut, Piece


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

    def cut(self, asked: Asked, says: str) -> Cut:
        """Return the records of the body. Raises Malformed."""
        credential = credential_of(asked)
        keyless = Keyless(_NONE, credential)
        shift = Shift(self.settings.clock, asked, None)
        found = members.lines(asked.body, self.settings.limits)
        values = keyless.clean_all(found, asked.body)
        pieces = [_piece(value, shift) for value in values]
        return Cut(
            self, credential, pieces,
            verdicts=asked.headers.get("x-hookline-verify") == "1", are_good=type(values) is members.Good,
        )  # fmt: skip

    def accepted(self, asked: Asked, cut: Cut, repeats: int) -> Answer:
        """Return how many records are kept; ``repeats`` of them were already."""
        return answers.as_json(200, {"accepted": len(cut.pieces), "repeats": repeats})


def _piece(value: bytes, shift: Shift) -> Piece:
    try:
        seen = _look(value)
    except members.NOT_SEEN:
        return Piece(value)
    at_ms, extra = shift.of(seen.time)
    # A user's `id` may be anything; that of an event is its own.
    same = members.id_of(seen.id) if seen.type == "event" else None
    also = members.id_of(seen.anonymous_id)
    return Piece(value, members.id_of(seen.user_id) or also, at_ms, same, extra, also)


def credential_of(asked: Asked) -> str | None:
    """Return the key of a request that says it outside of its body."""
    authorization = asked.headers.get("authorization")
    if authorization is not None and authorization[:7].lower() == "bearer ":
        return authorization[7:].strip()
    return asked.headers.get("x-write-key") or asked.query.get("key")
