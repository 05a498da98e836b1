"""Mixpanel's calls; only for keys whose `protocols` name it: /track and /engage are PostHog's paths, too.

    POST, GET /track  /engage  /groups    `data=` in a form or the query, plain or in base64; or a JSON body
    POST /import                          JSON or an object a line; Basic authorization; strict

The key is `properties.token` or `$token`, for /import the user of the authorization. The answer is the byte
`1`, which its node library wants, or an object with `verbose=1` (of the Python library, also to /import).
When it sends, the browser's library says by its own clock in the query's `_`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from pipeline.collect.batch import Why
from pipeline.collect.protocols import answers
from pipeline.collect.protocols.cutting import members
from pipeline.collect.protocols.cutting.clock import Shift, read_milliseconds
from pipeline.collect.protocols.cutting.keyless import Keyless, Names
from pipeline.collect.protocols.packed import forms
from pipeline.collect.protocols.posthog.capture import MOST_BAD, tokens_of_bad
from pipeline.collect.protocols.protocol import Cut, Extra, Malformed, Piece, Protocol, basic_pair
from pipeline.collect.request import Answer, Request

_KEYS = Names("token", "$token", "api_key")
_IMPORT = "import"
_ONE = Answer(200, b"1", "text/plain")
_VERBOSE = answers.as_json(200, {"status": 1, "error": None})


class _Properties(msgspec.Struct, gc=False):
    token: Any = None
    distinct_id: Any = None
    time: Any = None
    dollar_time: Any = msgspec.field(name="$time", default=None)
    user_id: Any = msgspec.field(name="$user_id", default=None)
    device_id: Any = msgspec.field(name="$device_id", default=None)
    insert_id: Any = msgspec.field(name="$insert_id", default=None)
    lib: Any = msgspec.field(name="mp_lib", default=None)


class _Look(msgspec.Struct, gc=False):
    event: Any = None
    token: Any = msgspec.field(name="$token", default=None)
    distinct_id: Any = msgspec.field(name="$distinct_id", default=None)
    user_id: Any = msgspec.field(name="$user_id", default=None)
    device_id: Any = msgspec.field(name="$device_id", default=None)
    time: Any = msgspec.field(name="$time", default=None)
    properties: _Properties | None = None


_look = msgspec.json.Decoder(_Look).decode
_NOTHING = _Properties()


class Mixpanel(Protocol):
    """Events, people and groups."""

    name = "mixpanel"

    def cut(self, request: Request, says: str) -> Cut:
        """Return the calls of a request. Raises Malformed."""
        text, beside = forms.read(request, self.settings.limits)
        found = members.lines(text, self.settings.limits)
        seen = [_seen(value) for value in found]
        credential = basic_pair(request).partition(":")[0] or _credential(seen, found)
        shift = Shift(self.settings.clock, request, read_milliseconds(beside.get("_")))
        values = Keyless(_KEYS, credential).clean_all(found, text)
        pieces = [_piece(value, one, shift) for value, one in zip(values, seen, strict=True)]
        named: Extra = (("hk-type", b"track" if says == _IMPORT else says.encode()),)
        if beside.get("verbose") == "1":
            kept = _VERBOSE
        elif says == _IMPORT:
            kept = answers.as_json(200, {"code": 200, "num_records_imported": len(pieces), "status": "OK"})
        else:
            kept = _ONE
        return Cut(self, credential, pieces, named, kept=kept, shift_ms=shift.by_ms)

    def malformed(self, request: Request, error: Malformed) -> Answer:
        """Return the reason: every status but 200 is an error to its libraries."""
        body = {"status": 0, "code": error.status, "error": error.reason, "message": error.reason}
        return answers.as_json(error.status, body)

    def refused(self, request: Request, why: Why, retry_secs: int) -> Answer:
        """Return 503 and when to come again."""
        return answers.refusal(503, {"status": 0, "code": 503, "error": answers.why(why)}, retry_secs)


def is_one(text: bytes) -> bool:
    """Return whether a body on a path that is PostHog's, too, looks like Mixpanel's."""
    try:
        first = text if text[:1] == b"{" else bytes(msgspec.json.decode(text, type=list[msgspec.Raw])[0])
        seen = _look(first)
        fields = orjson.loads(first).keys()
    except (*members.NOT_SEEN, IndexError, ValueError):
        return False
    if not fields.isdisjoint({"distinct_id", "uuid", "timestamp", "api_key", "token", "batch"}):
        return False
    if seen.event is None:
        return seen.distinct_id is not None
    inside = seen.properties
    return inside is not None and (inside.lib is not None or type(inside.time) in (int, float))


def _seen(value: bytes) -> _Look | None:
    try:
        return _look(value)
    except members.NOT_SEEN:
        return None


def _credential(seen: Sequence[_Look | None], values: Sequence[bytes]) -> str | None:
    """Return the first token, also of calls that are no good JSON where no other has one."""
    for one in seen:
        if one is not None and (token := _token((one.properties or _NOTHING).token, one.token)):
            return token
    for value in [value for one, value in zip(seen, values, strict=True) if one is None][:MOST_BAD]:
        if token := _token(*tokens_of_bad(value)):
            return token
    return None


def _token(*given: object) -> str | None:
    found = members.id_of(*given)
    return None if found is None else found.strip()


def _piece(value: bytes, seen: _Look | None, shift: Shift) -> Piece:
    if seen is None:
        return Piece(value)
    inside = seen.properties or _NOTHING
    at_ms, extra = shift.of(inside.time, inside.dollar_time, seen.time)
    if seen.event is None and not (inside.time or inside.dollar_time or seen.time):
        at_ms = 0  # pages date no update, and send it beside the events that follow it: it goes first
    id_of = members.id_of
    user = id_of(inside.user_id, inside.distinct_id, inside.device_id) or id_of(
        seen.user_id, seen.distinct_id, seen.device_id
    )
    insert_id = id_of(inside.insert_id)
    # Mixpanel takes two for one where all of these are equal.
    same = None if insert_id is None else f"{seen.event}\0{user}\0{insert_id}"
    return Piece(value, user, at_ms, same, extra, id_of(inside.device_id, seen.device_id))
