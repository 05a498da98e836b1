"""Heap's server-side calls.

    POST /api/track                  {app_id, event, identity, properties}, or {app_id, events: [..]}
    POST /api/add_user_properties    {app_id, identity, properties}, or {app_id, users: [..]}
    POST /api/v1/identify            {app_id, user_id, identity}

`app_id` is the key. Its clients take any status below 400; none of them comes again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.collect.protocols import answers
from pipeline.collect.protocols.cutting import members
from pipeline.collect.protocols.cutting.clock import Shift
from pipeline.collect.protocols.cutting.keyless import Keyless, Names
from pipeline.collect.protocols.protocol import Cut, Extra, Piece
from pipeline.collect.request import Request

_KEYS = Names("app_id")
_BULKS = {"track": "events", "add_user_properties": "users"}
_DONE = answers.as_json(200, {"status": "ok"})


class _Look(msgspec.Struct, gc=False):
    identity: Any = None
    user_id: Any = None
    timestamp: Any = None
    idempotency_key: Any = None


_look = msgspec.json.Decoder(_Look).decode


class Heap(answers.Plain):
    """Heap's three calls, one or in bulk."""

    name = "heap"

    def cut(self, request: Request, says: str) -> Cut:
        """Return the calls of a body. Raises Malformed."""
        text = members.text_of(request.body)
        limits = self.settings.limits
        envelope = members.fields(text)
        held = bytes(envelope.get(_BULKS.get(says, ""), b""))
        if held.startswith(b"["):
            found = members.items(held, limits)
        else:
            held = text
            found = members.within([text], limits)
        credential = members.id_of(members.value(envelope, "app_id"))
        shift = Shift(self.settings.clock, request, None)
        named: Extra = (("hk-type", says.encode()),)
        values = Keyless(_KEYS, credential).clean_all(found, held)
        pieces = [_piece(value, shift) for value in values]
        are_good = type(values) is members.Good
        return Cut(self, credential, pieces, named, kept=_DONE, are_good=are_good)


def _piece(value: bytes, shift: Shift) -> Piece:
    try:
        seen = _look(value)
    except members.NOT_SEEN:
        return Piece(value)
    at_ms, extra = shift.of(seen.timestamp)
    user = members.id_of(seen.identity, seen.user_id)
    return Piece(value, user, at_ms, members.id_of(seen.idempotency_key), extra)
