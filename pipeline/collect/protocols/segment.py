"""Segment's calls, as its SDKs, RudderStack's and Jitsu's post them.

    POST /v1/batch  /v1/b  /v1/import           {batch: [calls], sentAt, writeKey, context}
    POST /v1/{t,i,p,s,g,a}, /v1/{track,...}     one call; the path says its type where it has none
    POST /api/s/<type>, /api/s/s2s/<type>, /b   Jitsu's
    POST /v1/m                                  measurements of the SDK itself: nothing is kept
    GET  /v1/pixel/<type>                       one call in `data=`, in base64: the image of a mail
    GET  /v1/projects/<key>/settings            what the browser's SDK asks for at its start

Success is exactly 200. An error needs `code` and `message`: without them RudderStack's Python library repeats
a 400 ten times. The key: ``Authorization: Basic``, ``X-Write-Key``, `writeKey` in the body, ``?writeKey=``.
The time of a call is `timestamp` (else `originalTimestamp`, else `sentAt`) plus what `sentAt` says of the
clock; a call with `receivedAt` was corrected by another collector already.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import msgspec

from pipeline.collect.batch import Why
from pipeline.collect.protocols import answers
from pipeline.collect.protocols.cutting import members
from pipeline.collect.protocols.cutting.clock import NONE, Shift, read_time
from pipeline.collect.protocols.cutting.keyless import Keyless, Names
from pipeline.collect.protocols.packed import forms
from pipeline.collect.protocols.protocol import Cut, Extra, Malformed, Piece, Protocol, basic_pair, bearer
from pipeline.collect.request import Answer, Request
from pipeline.decode.raw.fields import FIRST_OF_ID

TYPES = {
    "t": "track",
    "i": "identify",
    "p": "page",
    "s": "screen",
    "g": "group",
    "a": "alias",
}
"""The browser's SDK posts to the first letter of a type."""

_KEYS = Names("writeKey")
_CODES = {
    400: "invalid_request",
    401: "invalid_write_key",
    403: "write_key_not_allowed",
    404: "not_found",
    413: "payload_too_large",
}
_PIXEL = Answer(200, b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"), "image/gif")
_LOCAL = ("127.0.0.1", "localhost", "[::1]")


class _Look(msgspec.Struct, gc=False):
    type: Any = None
    action: Any = None
    messageId: Any = None
    message_id: Any = None
    userId: Any = None
    user_id: Any = None
    anonymousId: Any = None
    anonymous_id: Any = None
    timestamp: Any = None
    originalTimestamp: Any = None
    sentAt: Any = None
    receivedAt: Any = None
    previousId: Any = None


class _Usual(msgspec.Struct, gc=False):
    """A call as nearly all SDKs write it: nothing in it has to be looked at twice."""

    timestamp: str
    messageId: str
    userId: str | None = None
    anonymousId: str | None = None
    user_id: None = None
    anonymous_id: None = None
    message_id: None = None
    previousId: None = None
    sentAt: None = None


_look = msgspec.json.Decoder(_Look).decode
_usual = msgspec.json.Decoder(_Usual).decode


class Segment(Protocol):
    """Calls of Segment's SDKs and of those that speak like them: some repeat whatever gets no 200."""

    name = "segment"
    done = answers.as_json(200, {"success": True})

    def cut(self, request: Request, says: str) -> Cut:
        """Return the calls of a batch, or the one call of a body. Raises Malformed."""
        text = members.text_of(request.body)
        envelope, held, found = members.batch(text, self.settings.limits)
        credential = _credential(request, envelope)
        keyless = Keyless(_KEYS, credential)
        shift = Shift(self.settings.clock, request, read_time(members.value(envelope, "sentAt")))
        named: Extra = (("hk-type", says.encode()),) if says else ()
        values = keyless.clean_all(found, held)
        pieces = None if named else _usual_pieces(values, shift)
        pieces = pieces or [_piece(value, shift, named) for value in values]
        shared: Extra = ()
        if found[0] is not text and (context := bytes(envelope.get("context", b"null"))) != b"null":
            shared = (("hk-context", keyless.clean(context)),)
        are_good = type(values) is members.Good
        return Cut(self, credential, pieces, shared, kept=self.done, shift_ms=shift.by_ms, are_good=are_good)

    def pixel(self, request: Request, says: str) -> Cut:
        """Return the call in the address of an image. Raises Malformed."""
        text, _ = forms.read(request, self.settings.limits)
        cut = self.cut(msgspec.structs.replace(request, body=text), says)
        cut.kept = _PIXEL
        return cut

    def measurements(self, request: Request, says: str) -> Cut:
        """Return the answer to what the SDK says of itself."""
        return Cut(self, None, answer=self.done)

    def settings_of(self, request: Request, key: str) -> Cut:
        """Return what the browser's SDK needs to start: where it posts to, and that every event may come."""
        host = request.headers.get("host", "localhost")
        before = request.path.partition("/v1/projects/")[0]
        given = request.headers.get("x-forwarded-proto")
        is_local = host.startswith(_LOCAL)
        own = {
            "apiKey": key,
            "apiHost": f"{host}{before}/v1",
            "protocol": given if given in ("http", "https") else "http" if is_local else "https",
        }
        body = {
            "integrations": {"Segment.io": own},
            "plan": {"track": {"__default": {"enabled": True}}, "identify": {"__default": {"enabled": True}}},
            "edgeFunction": {},
        }
        return Cut(self, None, answer=answers.as_json(200, body))

    def unserved(self, request: Request, says: str) -> Cut:
        """Refuse what RudderStack's browser SDK asks for. Raises Malformed."""
        raise Malformed(
            "RudderStack's browser SDK is not served: it loads its parts from RudderStack. Use Segment's "
            "(@segment/analytics-next) in pages; RudderStack's server SDKs work",
            404,
        )

    def malformed(self, request: Request, error: Malformed) -> Answer:
        """Return the reason with `code` and `message`."""
        code = _CODES.get(error.status, "refused")
        return answers.as_json(error.status, {"success": False, "code": code, "message": error.reason})

    def refused(self, request: Request, why: Why, retry_secs: int) -> Answer:
        """Return 429 and when to come again: all SDKs of the family keep their data then."""
        return answers.refusal(
            429, {"success": False, "code": "try_again", "message": answers.why(why)}, retry_secs
        )


class Jitsu(Segment):
    """Segment's calls on Jitsu's paths."""

    done = answers.as_json(200, {"ok": True})
    """Its SDK reads `ok`."""


def _usual_pieces(values: list[bytes], shift: Shift) -> list[Piece] | None:
    """Return what `_piece` does of each, where all are as usual."""
    try:
        calls = [_usual(value) for value in values]
    except members.NOT_SEEN:
        return None
    if not shift.are_past([call.timestamp for call in calls]):
        return None
    # The id of a user, else that of an anonymous one; blank ones are for `_piece`.
    users = [call.userId or call.anonymousId for call in calls]
    same = [call.messageId for call in calls]
    if min(same) < FIRST_OF_ID or min([user or FIRST_OF_ID for user in users]) < FIRST_OF_ID:
        return None
    return [
        Piece(value, user or None, None, call.messageId, NONE, call.anonymousId or None)
        for value, user, call in zip(values, users, calls, strict=True)
    ]


def _piece(value: bytes, shift: Shift, named: Extra) -> Piece:
    try:
        seen = _look(value)
    except members.NOT_SEEN:
        return Piece(value, extra=named)
    sent = seen.sentAt
    is_right = seen.receivedAt is not None
    at_ms, extra = shift.of(seen.timestamp, seen.originalTimestamp, sent, is_right=is_right, sent=sent)
    id_of = members.id_of
    user = id_of(seen.userId, seen.user_id, seen.anonymousId, seen.anonymous_id)
    also = id_of(seen.anonymousId, seen.anonymous_id, seen.previousId)
    same = id_of(seen.messageId, seen.message_id)
    if seen.type is None and seen.action is None:
        extra = extra + named
    return Piece(value, user, at_ms, same, extra, also)


def _credential(request: Request, envelope: members.Fields) -> str | None:
    user = basic_pair(request)
    # A key may hold colons itself (Jitsu's do); the password is empty.
    user = user[:-1] if user.endswith(":") else user.partition(":")[0]
    if user:
        return user
    header = request.headers.get("x-write-key")
    if header:
        return header
    given = members.value(envelope, "writeKey")
    if type(given) is str and given.strip():
        return given.strip()
    return request.query.get("writeKey") or bearer(request)
