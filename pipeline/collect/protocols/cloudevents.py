"""CloudEvents 1.0 over HTTP, in its three modes, and the handshake of its webhooks.

    POST /cloudevents  /events    binary: ce-* headers and the data; structured: one object; batched: an array
    OPTIONS with WebHook-Request-Origin: what a sender asks before it sends

A key is ``Authorization: Bearer``, ``?access_token=`` or ``X-Write-Key``. In binary mode a member is its
data, with the attributes in headers as Kafka has them (``ce_type``); their values are percent-decoded once.

Source: cloudevents/spec, http-protocol-binding.md and http-webhook.md.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import msgspec

from pipeline.collect.batch import Why
from pipeline.collect.protocols import answers
from pipeline.collect.protocols.cutting import members
from pipeline.collect.protocols.cutting.clock import Shift
from pipeline.collect.protocols.cutting.keyless import Keyless, Names
from pipeline.collect.protocols.native import credential_of
from pipeline.collect.protocols.protocol import Cut, Malformed, Piece, Protocol
from pipeline.collect.request import Answer, Request

_NONE = Names()
_PREFIX = "ce-"
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,64}")
_EVENTS = re.compile(r"\s*application/cloudevents", re.IGNORECASE)
_FORMAT = re.compile(r"\s*application/cloudevents(?:-batch)?\+(?!json\b)", re.IGNORECASE)


class _Ids(msgspec.Struct, gc=False):
    user_id: Any = None
    userId: Any = None
    anonymous_id: Any = None
    anonymousId: Any = None


class _Look(msgspec.Struct, gc=False):
    id: Any = None
    source: Any = None
    subject: Any = None
    time: Any = None
    userid: Any = None
    anonymousid: Any = None
    data: msgspec.Raw = msgspec.Raw()


_look = msgspec.json.Decoder(_Look).decode
_ids = msgspec.json.Decoder(_Ids).decode
_NOBODY = _Ids()


class CloudEvents(answers.Plain):
    """Events in binary, structured and batched mode."""

    name = "cloudevents"

    def cut(self, request: Request, says: str) -> Cut:
        """Return the events of a request. Raises Malformed."""
        credential = credential_of(request) or request.query.get("access_token")
        keyless = Keyless(_NONE, credential)
        shift = Shift(self.settings.clock, request, None)
        limits = self.settings.limits
        content_type = request.headers.get("content-type", "")
        if is_binary(request):
            return Cut(self, credential, [_binary(request, keyless, shift, self)])
        if _FORMAT.match(content_type):
            raise Malformed("of the formats of CloudEvents only JSON is read", 415)
        if "ce-type" in request.headers and not _EVENTS.match(content_type):
            # Without its attributes, which would not be kept, nobody could read it later.
            raise Malformed("the header ce-specversion is missing")
        text = members.text_of(request.body)
        if text[:1] == b"[":
            if text[-1:] == b"]" and not text[1:-1].strip():
                return Cut(self, credential)  # an empty batch is valid in a request, too (JSON format, 4)
            found = members.items(text, limits)
        else:
            members.fields(text)
            found = members.within([text], limits)
        return Cut(self, credential, [_piece(value, shift) for value in keyless.clean_all(found, text)])

    def handshake(self, request: Request, says: str) -> Cut:
        """Answer a sender's handshake: without its key nothing is kept. Raises Malformed."""
        origin = request.headers.get("webhook-request-origin")
        if not origin:
            raise Malformed("the header WebHook-Request-Origin is missing")
        headers = (
            ("Allow", "OPTIONS, POST"),
            ("WebHook-Allowed-Origin", origin),
            ("WebHook-Allowed-Rate", "*"),
        )
        return Cut(self, None, answer=Answer(200, headers=headers))

    def accepted(self, request: Request, cut: Cut, repeats: int) -> Answer:
        """Return the number of events kept."""
        return answers.as_json(200, {"accepted": len(cut.pieces), "repeats": repeats})

    def refused(self, request: Request, why: Why, retry_secs: int) -> Answer:
        """Return 429 and when to retry, as in the webhook specification."""
        return answers.refusal(429, {"code": "try_again", "message": answers.why(why)}, retry_secs)


def _binary(request: Request, keyless: Keyless, shift: Shift, protocol: Protocol) -> Piece:
    attributes = {}
    for header, text in request.headers.items():
        if header.startswith(_PREFIX) and _ATTRIBUTE.fullmatch(header, len(_PREFIX)):
            attributes[header[len(_PREFIX) :]] = _decoded(text)
    kept = [(f"ce_{name}", text.encode("utf-8", "replace")) for name, text in attributes.items()]
    content_type = request.headers.get("content-type")
    if content_type is not None:
        kept.append(("content-type", content_type.encode("utf-8", "replace")))
    value: bytes | None = None
    data = _NOBODY
    if request.body:
        (value,) = members.within([request.body], protocol.settings.limits)
        value = keyless.clean(value)
        data = _ids_of(value)
    at_ms, extra = shift.of(attributes.get("time"))
    get = attributes.get
    user = _user(data, get("userid"), get("subject"), get("anonymousid"), get("source"))
    same, also = _same(get("source"), get("id")), _anonymous(data, get("anonymousid"))
    return Piece(value, user, at_ms, same, (*kept, *extra), also)


def is_binary(request: Request) -> bool:
    """Return whether a request is an event in binary mode.

    One whose attributes are copied into headers, for those who route it, is in its content.
    """
    headers = request.headers
    return "ce-specversion" in headers and _EVENTS.match(headers.get("content-type", "")) is None


def _decoded(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    # Text beyond ASCII came unencoded; invalid escapes stay, and those of no UTF-8: Go's and Java's SDKs
    # encode nothing. Replaced, several ids would become one.
    if "%" not in value:
        return value
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        return value


def _piece(value: bytes, shift: Shift) -> Piece:
    try:
        seen = _look(value)
    except members.NOT_SEEN:
        return Piece(value)
    at_ms, extra = shift.of(seen.time)
    data = _ids_of(bytes(seen.data))
    user = _user(data, seen.userid, seen.subject, seen.anonymousid, seen.source)
    also = _anonymous(data, seen.anonymousid)
    return Piece(value, user, at_ms, _same(seen.source, seen.id), extra, also)


def _ids_of(data: bytes) -> _Ids:
    if not data.lstrip().startswith(b"{"):
        return _NOBODY
    try:
        return _ids(data)
    except members.NOT_SEEN:
        return _NOBODY


def _user(data: _Ids, *attributes: Any) -> str | None:
    userid, subject, anonymousid, source = attributes
    return members.id_of(
        data.user_id, data.userId, userid, subject, data.anonymous_id, data.anonymousId, anonymousid, source
    )


def _anonymous(data: _Ids, attribute: Any) -> str | None:
    return members.id_of(data.anonymous_id, data.anonymousId, attribute)


def _same(source: object, id: object) -> str | None:
    # Two sources may use the same id: together they are unique (the specification).
    found = members.id_of(id)
    return None if found is None else f"{source}\0{found}"
