"""Handles one request: find the path, cut the body, check the key, hand it to the sink, answer."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec
import orjson

from pipeline.collect.batch import Refused, Sink, Why
from pipeline.collect.figures import Counts
from pipeline.collect.http import reply
from pipeline.collect.http.answering import Answering, Later
from pipeline.collect.http.cors import Cors, is_preflight
from pipeline.collect.keys import Denied, Keys
from pipeline.collect.ops import PATHS, Ops
from pipeline.collect.protocols.cloudevents import is_binary
from pipeline.collect.protocols.cutting.members import which_are_good
from pipeline.collect.protocols.protocol import REFUSALS, Cut, Malformed, Protocol, Route
from pipeline.collect.protocols.table import Table
from pipeline.collect.request import Answer, Request
from pipeline.decode.decode import COLLECTED, decode
from pipeline.model.charsets import NotInCharset, in_utf8, names_another
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record
from pipeline.telemetry import log as logs

_log = logs.get(__name__)
_NO_KEY: Final = "-"
_NO_PATH: Final = (
    "no protocol has this path. Those of Segment, RudderStack, Jitsu, PostHog, Heap, Mixpanel and Amplitude "
    "are here: their SDKs are given the collector's address alone. CloudEvents go to POST /cloudevents, "
    "signed webhooks to POST /hooks/NAME, Hookline's own records to POST /v1/events"
)
_NO_HOOK: Final = "there is no such webhook here: `collect.hooks` names them, each at /hooks/NAME"
_HOOKS: Final = "/hooks/"
_NO_STORE: Final = ("cache-control", "no-store")
_EVERY_SECS: Final = 60.0
_LARGE: Final = 96 << 10
"""A body of this size is cut outside the event loop: that takes milliseconds, a hostile one tens."""


class Collector:
    """The service of the HTTP server; see `answering.Service`."""

    def __init__(self, table: Table, keys: Keys, sink: Sink, counts: Counts, ops: Ops) -> None:
        self.table = table
        """May be replaced: hooks' secrets change."""
        self._keys = keys
        self._sink = sink
        self._counts = counts
        self._ops = ops
        self._cors = Cors()
        self._warned: dict[str, float] = {}
        self.cutter = ThreadPoolExecutor(2, "cut")
        """Does what takes long: a large body, verdicts. Two at a time, or one of 20 MiB holds all up."""
        self.stopping = False
        """Requests that are not handed over yet are refused."""

    # --- answering.Service

    def answer(self, request: Request, connection: Answering) -> Answer | Later:
        """Answer a complete request."""
        path = request.path
        if path in PATHS:
            found = self._ops.answer(request)
            if found is not None:
                return found
        origin = request.origin
        if origin is None:
            return self._heard(request)
        if not self._keys.allows(origin):
            return Answer(204) if is_preflight(request) else self._heard(request)
        if is_preflight(request):
            return self._cors.preflight(request, origin)
        answer = self._heard(request)
        return self._readable(answer, origin)

    def busy(self, request: Request, retry_secs: int) -> Answer:
        """Refuse a request for lack of room, in its protocol's way."""
        why = Why.STOPPING if self.stopping else Why.BUSY
        route = self.table.find(request.method, request.path)
        if route is None:
            self._refused(why)
            message = "more is coming in than can be kept at the moment"
            answer = reply.error(503, "busy", message, ("Retry-After", str(retry_secs)))
        else:
            answer = self._refuse(route.protocol, request, why, retry_secs)
        return self._for_page(request, answer)

    def failed(self, request: Request | None, answer: Answer, code: str) -> Answer:
        """Count a malformed request, or one beyond the limits."""
        self._counts.refused(code)
        return answer if request is None else self._for_page(request, answer)

    def broke(self, error: Exception) -> Answer:
        """Log an internal error, without what the client sent."""
        _log.error("a request failed here", exc_info=error)
        return reply.error(500, "internal", "this failed here; the collector's log says more")

    def close(self) -> None:
        """Stop cutting."""
        self.cutter.shutdown(wait=False, cancel_futures=True)

    # --- inside

    def _for_page(self, request: Request, answer: Answer) -> Answer:
        origin = request.origin
        return self._cors.allowed(answer, origin) if origin and self._keys.allows(origin) else answer

    def _readable(self, found: Answer | Later, origin: str) -> Answer | Later:
        if isinstance(found, Answer):
            return self._cors.allowed(found, origin)
        finish = found.finish
        return Later(found.future, lambda done: self._readable(finish(done), origin))

    def _heard(self, request: Request) -> Answer | Later:
        found = self._routed(request)
        return found if request.method == "POST" else self._uncached(found)

    def _uncached(self, found: Answer | Later) -> Answer | Later:
        """Return the answer with the word that no cache may give it: the same event could not come again."""
        if isinstance(found, Answer):
            return msgspec.structs.replace(found, headers=(*found.headers, _NO_STORE))
        finish = found.finish
        return Later(found.future, lambda done: self._uncached(finish(done)))

    def _routed(self, request: Request) -> Answer | Later:
        method, path = request.method, request.path
        route = self.table.find(method, path)
        if route is None and method == "HEAD":
            route = self.table.find("GET", path)
        if route is None:
            methods = self.table.methods(path)
            if not methods:
                return reply.error(404, "not_found", _NO_HOOK if _HOOKS in path else _NO_PATH)
            allowed = ", ".join(sorted(methods))
            return reply.error(405, "bad_method", f"this path takes {allowed}", ("allow", allowed))
        if len(request.body) < _LARGE:
            return self._found(route, request, _tried(route, request))
        work = asyncio.get_running_loop().run_in_executor(self.cutter, _cut_large, route, request)
        return Later(work, lambda done: self._found(route, request, done.result()))

    def _found(self, route: Route, request: Request, cut: Cut | Malformed) -> Answer | Later:
        if isinstance(cut, Malformed):
            self._counts.refused("malformed")
            return self._counted(route.protocol.name, _NO_KEY, route.protocol.malformed(request, cut))
        if cut.answer is not None:
            return cut.answer
        protocol = cut.protocol
        key: str | Denied
        if cut.hook is not None:
            key = cut.hook
        else:
            key = self._keys.find(cut.credential, request.origin, protocol.name)
        if isinstance(key, Denied):
            self._counts.refused(key.about)
            return self._counted(
                protocol.name, _NO_KEY, protocol.unauthorised(request, key.status, key.reason)
            )
        if cut.verdicts:
            asked = asyncio.get_running_loop().run_in_executor(self.cutter, _verdicts, cut, key, request)
            return Later(asked, lambda done: self._counted(protocol.name, key, done.result()))
        return self._keep(cut, key, request)

    def _keep(self, cut: Cut, key: str, request: Request) -> Answer | Later:
        begun = time.perf_counter()
        protocol = cut.protocol
        name = protocol.name
        if self.stopping:
            return self._counted(name, key, self._refuse(protocol, request, Why.STOPPING, 1))
        if not cut.pieces:
            return self._counted(name, key, protocol.accepted(request, cut, 0))
        if cut.shift_ms:
            self._counts.shifted(cut.shift_ms)
        try:
            future = self._sink.hand(cut.batch(key, request))
        except Refused as refused:
            return self._counted(name, key, self._refuse(protocol, request, refused.why, refused.retry_secs))

        def finish(done: asyncio.Future[int]) -> Answer:
            refused = done.exception()
            if isinstance(refused, Refused):  # raised, it would keep the body until a garbage collection
                answer = self._refuse(protocol, request, refused.why, refused.retry_secs)
                return self._counted(name, key, answer)
            repeats = done.result()
            answer = protocol.accepted(request, cut, repeats)
            self._counts.kept(name, key, answer.status, len(cut.pieces), repeats, time.perf_counter() - begun)
            return answer

        return Later(future, finish)

    def _counted(self, protocol: str, key: str, answer: Answer) -> Answer:
        self._counts.answered(protocol, key, answer.status)
        return answer

    def _refuse(self, protocol: Protocol, request: Request, why: Why, retry_secs: int) -> Answer:
        self._refused(why)
        if why not in REFUSALS:  # reasons that no retry would change
            return protocol.malformed(request, Malformed("a record is larger than its topic takes", 413))
        return protocol.refused(request, why, max(1, min(60, retry_secs)))

    def _refused(self, why: Why) -> None:
        self._counts.refused(why.value)
        now = time.monotonic()
        if why is not Why.STOPPING and now >= self._warned.get(why, 0.0):
            self._warned[why] = now + _EVERY_SECS
            _log.warning("requests are refused: clients keep them, and come again", reason=why.value)


def _tried(route: Route, request: Request) -> Cut | Malformed:
    """Return the contents of a request, or the reason why there are none: a new error, since one that was
    raised, and the one that led to it, would keep the body alive until a garbage collection.
    """
    try:
        return route.cut(_in_utf8(route, request))
    except Malformed as error:
        return Malformed(error.reason, error.status)


def _in_utf8(route: Route, request: Request) -> Request:
    """Return the request with its body in UTF-8, where its content type names another charset.

    Data of a CloudEvent in binary mode stay with their content type. Raises Malformed.
    """
    content_type = request.headers.get("content-type", "")
    if not names_another(content_type) or is_binary(request):
        return request
    try:
        body = in_utf8(request.body, content_type)
    except NotInCharset as error:
        raise Malformed(f"the body is not in the charset of its content type: {error}", 415) from None
    most = route.protocol.settings.limits.body_bytes
    if len(body) > most:
        raise Malformed(f"in UTF-8 the body is larger than {most} bytes", 413)
    return msgspec.structs.replace(request, body=body)


def _cut_large(route: Route, request: Request) -> Cut | Malformed:
    """Like `_tried`, and also do what would otherwise take time later."""
    cut = _tried(route, request)
    if isinstance(cut, Cut) and not cut.are_good:
        cut.are_good = which_are_good([piece.value for piece in cut.pieces])
    return cut


def _verdicts(cut: Cut, key: str, request: Request) -> Answer:
    return Answer(200, orjson.dumps({"verdicts": verdicts_of(cut, key, request), "kept": 0}))


def verdicts_of(cut: Cut, key: str, request: Request) -> list[dict[str, object]]:
    """Return one verdict a member: what it is read as, or why it would be a dead letter.

    Several, where a member holds several records: the place among the members is in each.
    """
    found: list[dict[str, object]] = []
    for place, member in enumerate(cut.batch(key, request).members):
        origin = Origin("collect", place)
        records = decode(
            member.value, format=COLLECTED, origin=origin, received_at=request.received_ms,
            headers=list(member.headers),
        )  # fmt: skip
        for record in records:
            found.append({"member": place, **_said(record)})
    return found


def _said(record: Record) -> dict[str, object]:
    match record:
        case Event():
            return {"reads": "event", "name": record.name, "user_id": record.user_id}
        case PropertyUpdate():
            return {"reads": "update", "user_id": record.user_id}
        case IdentityLink():
            return {"reads": "link", "user_id": record.user_id, "anonymous_id": record.anonymous_id}
        case Invalid():
            return {"reads": "invalid", "reason": record.reason}
