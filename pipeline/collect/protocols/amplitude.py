"""Amplitude's calls; only for keys whose `protocols` name it, since /batch is PostHog's path, too.

    POST /2/httpapi  /httpapi  /batch    {api_key, events: [..], client_upload_time}
    POST /identify                       the same with `identification`, as JSON or in a form

Success is 200 with `code` 200. A key that is not known is "Invalid API key:": its Python library repeats
another 400 twelve times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.collect.batch import Why
from pipeline.collect.protocols import answers
from pipeline.collect.protocols.cutting import members
from pipeline.collect.protocols.cutting.clock import Shift, read_time
from pipeline.collect.protocols.cutting.keyless import Keyless, Names
from pipeline.collect.protocols.packed import forms
from pipeline.collect.protocols.protocol import Cut, Extra, Malformed, Piece, Protocol
from pipeline.collect.request import Answer, Request

_KEYS = Names("api_key")
_IDENTIFY = "identify"


class _Look(msgspec.Struct, gc=False):
    event_type: Any = None
    user_id: Any = None
    device_id: Any = None
    insert_id: Any = None
    event_time: Any = None
    time: Any = None
    client_event_time: Any = None


_look = msgspec.json.Decoder(_Look).decode


class Amplitude(Protocol):
    """Events and identifications."""

    name = "amplitude"

    def cut(self, request: Request, says: str) -> Cut:
        """Return the events of a request. Raises Malformed."""
        field = "identification" if says == _IDENTIFY else "event"
        text, beside = forms.read(request, self.settings.limits, field)
        return self.cut_text(request, text, beside, says)

    def cut_text(self, request: Request, text: bytes, beside: Mapping[str, str], says: str) -> Cut:
        """Return the events of a decompressed body. Raises Malformed."""
        limits = self.settings.limits
        envelope: members.Fields = {}
        held = text
        if text[:1] == b"[":
            found = members.items(text, limits)
        else:
            envelope = members.fields(text)
            held = bytes(envelope.get("identification" if says == _IDENTIFY else "events", b""))
            if held.startswith(b"["):
                found = members.items(held, limits)
            elif held:
                found = members.within([held], limits)
            elif says == _IDENTIFY or "event_type" in envelope:
                held, found = text, members.within([text], limits)
            else:
                raise Malformed("the body has no `events`")
        credential = members.id_of(members.value(envelope, "api_key"), beside.get("api_key"))
        sent_ms = read_time(members.value(envelope, "client_upload_time"))
        shift = Shift(self.settings.clock, request, sent_ms)
        named: Extra = (("hk-type", says.encode()),) if says else ()
        values = Keyless(_KEYS, credential).clean_all(found, held)
        pieces = [_piece(value, shift, named) for value in values]
        body = {
            "code": 200,
            "events_ingested": len(pieces),
            "payload_size_bytes": len(request.raw),
            "server_upload_time": request.received_ms,
        }
        kept = answers.as_json(200, body)
        return Cut(self, credential, pieces, kept=kept, shift_ms=shift.by_ms)

    def malformed(self, request: Request, error: Malformed) -> Answer:
        """Return the reason, with the status repeated as `code`."""
        body = {"code": error.status, "error": error.reason, "message": error.reason}
        return answers.as_json(error.status, body)

    def unauthorised(self, request: Request, status: int, reason: str) -> Answer:
        """Return 400, as Amplitude does: its libraries then give up at once."""
        return self.malformed(request, Malformed(f"Invalid API key: {reason}"))

    def refused(self, request: Request, why: Why, retry_secs: int) -> Answer:
        """Return 429: the libraries then keep their events."""
        return answers.refusal(429, {"code": 429, "error": answers.why(why)}, retry_secs)


def is_one(text: bytes) -> bool:
    """Return whether a body on a path shared with PostHog looks like Amplitude's."""
    try:
        envelope = members.fields(text)
    except Malformed:
        return False
    return "events" in envelope


def _piece(value: bytes, shift: Shift, named: Extra) -> Piece:
    try:
        seen = _look(value)
    except members.NOT_SEEN:
        return Piece(value, extra=named)
    at_ms, extra = shift.of(seen.event_time, seen.time, seen.client_event_time)
    insert_id, also = members.id_of(seen.insert_id), members.id_of(seen.device_id)
    user = members.id_of(seen.user_id) or also
    # Amplitude treats two of a device as one where this is equal; of a user where there is none.
    same = None if insert_id is None else f"{also or user}\0{insert_id}"
    if seen.event_type is None:
        extra = extra + named
    return Piece(value, user, at_ms, same, extra, also)
