"""PostHog's newest endpoint, which answers per event.

    POST /i/v1/analytics/events    Authorization: Bearer KEY, PostHog-Sdk-Info, -Attempt, -Request-Id and
                                   -Request-Timestamp; {created_at, batch: [events]}
    200 {"results": {UUID: {"result": "ok" | "drop", "details"}}}

One that the job can make nothing of is kept all the same (of one that is too large its beginning), for the
job to account for it as a dead letter, and answered as dropped, with the reason. The client's clock is the
header's; `options.disable_skew_correction` and `historical_migration` leave the times as they are. The SDK's
name and version, which the events leave to PostHog-Sdk-Info, are kept beside each (`hk-lib`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.collect.batch import Why
from pipeline.collect.protocols import answers
from pipeline.collect.protocols.cutting import members
from pipeline.collect.protocols.cutting.clock import Shift, read_time
from pipeline.collect.protocols.cutting.keyless import Keyless
from pipeline.collect.protocols.posthog.capture import KEYS, Look, time_of
from pipeline.collect.protocols.protocol import Cut, Extra, Limits, Malformed, Piece, Protocol, bearer
from pipeline.collect.request import Answer, Request

_HEADERS = (
    "posthog-sdk-info",
    "posthog-attempt",
    "posthog-request-id",
    "posthog-request-timestamp",
)
_CODES = {
    401: "invalid_api_key",
    403: "api_key_not_allowed",
    404: "not_found",
    413: "payload_too_large",
}
_MOST_RETRY_SECS = 30
_MOST_SDK = 100
_OK = {"result": "ok"}


class _Options(msgspec.Struct, gc=False):
    disable_skew_correction: Any = None


class _Look(Look, gc=False):
    options: _Options | None = None


_look = msgspec.json.Decoder(_Look).decode


class PostHogV1(Protocol):
    """``POST /i/v1/analytics/events``."""

    name = "posthog"

    def cut(self, request: Request, says: str) -> Cut:
        """Return the events of the batch that are kept, and what is answered for each. Raises Malformed."""
        credential = _credential(request)
        missing = [name for name in _HEADERS if not request.headers.get(name)]
        if missing:
            raise Malformed(f"the header {missing[0]} is missing")
        sent_ms = read_time(request.headers["posthog-request-timestamp"])
        if sent_ms is None:
            raise Malformed("the header posthog-request-timestamp is no time")
        text = members.text_of(request.body)
        envelope = members.fields(text) if text[:1] == b"{" else {}
        batch = envelope.get("batch")
        if batch is None:
            raise Malformed("the body has no `batch`")
        limits = self.settings.limits
        found = members.items(batch, Limits(members=limits.members, member_bytes=limits.body_bytes))
        is_import = members.value(envelope, "historical_migration") is True
        shift = Shift(self.settings.clock, request, None if is_import else sent_ms)
        pieces: list[Piece] = []
        results: dict[str, object] = {}
        for value in Keyless(KEYS, credential).clean_all(found, bytes(batch)):
            piece, fault = _piece(value, shift, request.received_ms)
            if len(value) > limits.member_bytes:
                fault = f"the event has {len(value):,} bytes, {limits.member_bytes:,} are allowed"
            pieces.append(piece)
            if piece.same is not None:
                results[piece.same] = _OK if fault is None else {"result": "drop", "details": fault}
        kept = answers.as_json(200, {"results": results})
        shared = _sdk(request.headers["posthog-sdk-info"], credential)
        return Cut(self, credential, pieces, shared, kept=kept, shift_ms=shift.by_ms)

    def malformed(self, request: Request, error: Malformed) -> Answer:
        """Return the reason as v1 writes it."""
        code = _CODES.get(error.status, "invalid_request")
        return answers.as_json(error.status, _error(code, error.reason))

    def refused(self, request: Request, why: Why, retry_secs: int) -> Answer:
        """Return 503 and when to come again."""
        return answers.refusal(503, _error("try_again", answers.why(why)), min(retry_secs, _MOST_RETRY_SECS))


def _error(code: str, reason: str) -> dict[str, object]:
    return {"error": code, "error_description": reason, "error_uri": None}


def _sdk(said: str, credential: str) -> Extra:
    """Return the header that names the SDK; none for what is no name, or holds the key."""
    is_name = len(said) <= _MOST_SDK and said.isascii() and said.isprintable() and credential not in said
    return (("hk-lib", said.encode()),) if is_name else ()


def _piece(value: bytes, shift: Shift, received_ms: int) -> tuple[Piece, str | None]:
    """Return the member, and why the job will not make an event of it; None where it may."""
    try:
        seen = _look(value)
    except members.NOT_SEEN as error:
        return Piece(value, same=_uuid_of_bad(value)), f"the event is not JSON as it should be: {error}"
    is_right = seen.options is not None and seen.options.disable_skew_correction is True
    at_ms, extra = time_of(seen, shift, received_ms, is_right=is_right)
    user = seen.user()
    piece = Piece(value, user, at_ms, members.id_of(seen.uuid), extra, seen.also())
    if type(seen.event) is not str or not seen.event:
        return piece, "the event has no `event`"
    return piece, "the event has no `distinct_id`" if user is None else None


def _uuid_of_bad(value: bytes) -> str | None:
    try:
        return members.id_of(members.value(members.fields(value), "uuid"))
    except Malformed:
        return None


def _credential(request: Request) -> str:
    key = bearer(request)
    if not key:
        raise Malformed("the header Authorization: Bearer KEY is missing", 401)
    return key
