"""PostHog's events, as its SDKs post them.

    POST /batch/                                   {api_key, batch: [events], sent_at}
    POST, GET /e/  /capture/  /i/v0/e/  /track/    one, an array, or a batch; JSON, or `data=` in a form or
                                                   in the query, in base64, gzip or LZ-String
    POST, GET /engage/                             the same: a member without `event` is an $identify

Success is exactly 200 (`beacon=1`: 204); posthog-js drops its events on 429, so that there is only 503. The
key is `api_key`, `token` or `$token` of the batch or of the events, or `properties.token`; several different
ones are refused. The time of an event is `timestamp` plus what `sent_at` (else the query's `sent_at` or `_`,
in milliseconds) says of the clock; `offset` counts from when it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pipeline.collect.batch import Why
from pipeline.collect.protocols import answers
from pipeline.collect.protocols.cutting import members
from pipeline.collect.protocols.cutting.clock import Shift, read_milliseconds, read_time
from pipeline.collect.protocols.cutting.keyless import Keyless, Names
from pipeline.collect.protocols.packed import forms
from pipeline.collect.protocols.protocol import Cut, Extra, Malformed, Piece, Protocol, bearer
from pipeline.collect.request import Answer, Request
from pipeline.decode.raw.fields import FIRST_OF_ID
from pipeline.model.times import MAX_MS, MIN_MS

_TOKENS = ("api_key", "token", "$token")
KEYS = Names(*_TOKENS)
_MOST_RETRY_SECS = 30
"""Its SDKs believe a Retry-After up to here."""
MOST_BAD = 20
"""So many events that are no good JSON are searched for a token: that takes a hundred times as long."""

_CODES = {401: "authentication_failed", 403: "permission_denied", 404: "not_found", 413: "payload_too_large"}


class _Properties(msgspec.Struct, gc=False):
    distinct_id: Any = None
    dollar_id: Any = msgspec.field(name="$distinct_id", default=None)
    token: Any = None
    is_right: Any = msgspec.field(name="$ignore_sent_at", default=None)
    time: Any = msgspec.field(name="$time", default=None)
    anon_id: Any = msgspec.field(name="$anon_distinct_id", default=None)
    alias: Any = None


class Look(msgspec.Struct, gc=False):
    """What is asked of an event."""

    event: Any = None
    distinct_id: Any = None
    dollar_id: Any = msgspec.field(name="$distinct_id", default=None)
    uuid: Any = None
    timestamp: Any = None
    offset: Any = None
    sent_at: Any = None
    api_key: Any = None
    token: Any = None
    dollar_token: Any = msgspec.field(name="$token", default=None)
    properties: _Properties | None = None

    def user(self) -> str | None:
        """Return whom it is about."""
        if type(self.distinct_id) is str and self.distinct_id >= FIRST_OF_ID:
            return self.distinct_id
        inside = self.properties or _NOTHING
        return members.id_of(self.distinct_id, inside.distinct_id, self.dollar_id, inside.dollar_id)

    def also(self) -> str | None:
        """Return the other id of the user that it names: an $identify, or an alias."""
        inside = self.properties
        return None if inside is None else members.id_of(inside.anon_id, inside.alias)


_NOTHING = _Properties()
_look = msgspec.json.Decoder(Look).decode


def look(value: bytes) -> Look | None:
    """Return what is asked of an event; None for what is no good JSON, or no event."""
    try:
        return _look(value)
    except members.NOT_SEEN:
        return None


class PostHog(Protocol):
    """Events on the paths that are older than v1."""

    name = "posthog"

    def cut(self, request: Request, says: str) -> Cut:
        """Return the events of a batch, an array, or one. Raises Malformed."""
        text, beside = forms.read(request, self.settings.limits)
        return self.cut_text(request, text, beside, says)

    def cut_text(self, request: Request, text: bytes, beside: Mapping[str, str], says: str) -> Cut:
        """Return the events of an unpacked body. Raises Malformed."""
        envelope, held, found = members.batch(text, self.settings.limits)
        seen = [look(value) for value in found]
        credential = _credential(envelope, seen, found, request, beside)
        sent_ms = read_time(members.value(envelope, "sent_at"))
        if sent_ms is None:
            sent_ms = read_milliseconds(beside.get("sent_at")) or read_milliseconds(beside.get("_"))
        is_import = members.value(envelope, "historical_migration") is True
        shift = Shift(self.settings.clock, request, None if is_import else sent_ms)
        values = Keyless(KEYS, credential).clean_all(found, held)
        named: Extra = (("hk-type", says.encode()),) if says else ()
        pieces = [
            _piece(value, one, shift, request.received_ms, named)
            for value, one in zip(values, seen, strict=True)
        ]
        are_good = type(values) is members.Good
        # posthog-js reads the body, and none of a beacon's.
        kept = _NOTHING_TO_SAY if request.query.get("beacon") == "1" else DONE
        return Cut(self, credential, pieces, kept=kept, shift_ms=shift.by_ms, are_good=are_good)

    def malformed(self, request: Request, error: Malformed) -> Answer:
        """Return the reason as PostHog writes it."""
        code = _CODES.get(error.status, "invalid_payload")
        body = {"status": 0, "type": "validation_error", "code": code, "detail": error.reason, "attr": None}
        return answers.as_json(error.status, body)

    def refused(self, request: Request, why: Why, retry_secs: int) -> Answer:
        """Return 503 and when to come again, within what the SDKs believe."""
        body: dict[str, object] = {
            "status": 0,
            "type": "server_error",
            "code": "try_again",
            "detail": answers.why(why),
        }
        return answers.refusal(503, body, min(retry_secs, _MOST_RETRY_SECS))


DONE = answers.as_json(200, {"status": 1})
_NOTHING_TO_SAY = Answer(204)


def _piece(value: bytes, seen: Look | None, shift: Shift, received_ms: int, named: Extra) -> Piece:
    if seen is None:
        return Piece(value, extra=named)
    at_ms, extra = time_of(seen, shift, received_ms)
    if seen.event is None:
        extra = extra + named
    same = members.id_of(seen.uuid)
    return Piece(value, seen.user(), at_ms, same, extra, seen.also())


def time_of(
    seen: Look, shift: Shift, received_ms: int, *, is_right: bool = False
) -> tuple[int | None, Extra]:
    """Return when an event happened, and the header that says how far its own time is off."""
    offset = seen.offset
    if type(offset) is int or type(offset) is float:
        counted = received_ms - round(offset)
        if MIN_MS <= counted <= MAX_MS:
            return shift.of_ms(counted, is_right=True)
    inside = seen.properties or _NOTHING
    is_right = is_right or inside.is_right is True
    return shift.of(seen.timestamp, seen.sent_at, inside.time, is_right=is_right)


def _credential(
    envelope: members.Fields,
    seen: list[Look | None],
    values: list[bytes],
    request: Request,
    beside: Mapping[str, str],
) -> str | None:
    found = {token for name in _TOKENS if (token := _token(members.value(envelope, name))) is not None}
    if not found:
        bad = 0
        for one, value in zip(seen, values, strict=True):
            bad += one is None
            if one is None and bad > MOST_BAD:
                continue
            tokens = tokens_of_bad(value) if one is None else _tokens_of(one)
            found.update(token for given in tokens if (token := _token(given)) is not None)
    if not found:
        found = {token for name in ("api_key", "token") if (token := _token(beside.get(name))) is not None}
    if len(found) > 1:
        raise Malformed("the events name several different tokens: one request has one", 401)
    if found:
        return found.pop()
    return bearer(request)


def _tokens_of(seen: Look) -> Iterable[object]:
    return seen.api_key, seen.token, seen.dollar_token, (seen.properties or _NOTHING).token


def tokens_of_bad(value: bytes) -> Iterable[object]:
    """Return the tokens of an event that is no good JSON: it is dead-lettered, under its key."""
    try:
        outer = members.fields(value)
        inner = members.fields(bytes(outer.get("properties", b"{}")))
    except Malformed:
        return ()
    return *(members.value(outer, name) for name in _TOKENS), members.value(inner, "token")


def _token(given: object) -> str | None:
    token = given.strip() if type(given) is str else None
    return token or None
