"""The console's aiohttp application: every request passes one gate, every error becomes a page or JSON."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from pipeline.console.context import FORM_BYTES, Console, RequestContext
from pipeline.console.pages import login
from pipeline.console.security.audit import Act, AuditFailed, AuditLine, Result
from pipeline.console.security.headers import harden
from pipeline.console.security.identity import NOBODY, address_of, identify
from pipeline.console.security.origin import is_known, is_ours, is_said
from pipeline.console.security.roles import CHANGING
from pipeline.console.serving import answers
from pipeline.console.serving.failures import status_of, told
from pipeline.console.serving.routes import ROUTES, Route
from pipeline.model.errors import ConfigError
from pipeline.telemetry import log

_log = log.get("console")
REQUEST_SECS: Final = 15.0
"""How long a request may take in total, including the upload of its body."""
EDIT_BYTES: Final = 32 << 20
"""For users who write files: a page contains one of a megabyte three times, each character up to
nine bytes."""
STREAMS: Final = 20
"""Concurrent streamed answers."""
STREAMS_EACH: Final = 8
"""Of these, for one person."""
TURNED_AWAY: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
CUT_OFF: Final = "cut off: it may have been done"
LOGIN: Final = "log in first: the link that `hookline console` prints, or `authorization: Bearer TOKEN`"

_PAGES: Final = frozenset(route.path for route in ROUTES if route.method == "GET")

CONTEXT: Final = web.RequestKey("context", RequestContext)

WebHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(console: Console) -> web.Application:
    """Return the application of a console, ready to be served."""
    gate = _Gate(console)
    app = web.Application(client_max_size=FORM_BYTES, middlewares=[gate.middleware])
    app.on_response_prepare.append(_harden)  # also streams, which their handlers start
    for route in ROUTES:
        app.router.add_route(route.method, console.section.base_path + route.path, gate.handler(route))
    return app


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    context = request.get(CONTEXT)  # absent where aiohttp answers by itself, before the gate
    harden(response, "" if context is None else context.nonce)


class _Gate:
    """The checks that every request passes: host name, origin, identity, rights; and its audit line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._streams: Counter[str] = Counter()

        @web.middleware
        async def middleware(request: web.Request, handler: WebHandler) -> web.StreamResponse:
            begun = time.monotonic()
            console.silent.discard(id(request.protocol))
            context = RequestContext(request, console, NOBODY, None, secrets.token_urlsafe(16))
            context.address = address_of(request, console.section.proxy)
            request[CONTEXT] = context
            response = answers.led(context, _page(request), await self._guarded(context, handler))
            _log.debug(
                "answered",
                method=request.method,
                path=request.path[:200],
                status=response.status,
                who=context.viewer.name,
                address=context.address,
                ms=round((time.monotonic() - begun) * 1000),
            )
            return response

        self.middleware = middleware

    async def _guarded(self, context: RequestContext, handler: WebHandler) -> web.StreamResponse:
        request = context.request
        host = request.headers.get("host", "")
        own = request.transport.get_extra_info("sockname") if request.transport is not None else None
        if not is_known(host, self._console.section.hosts, own[0] if isinstance(own, tuple) else ""):
            text = f"this console is not known as {host[:200]!r}: name it, `--host NAME`\n"
            return await self._turned_away(context, HTTPStatus.MISDIRECTED_REQUEST, text)
        if not is_ours(request.method, request.headers, host):
            return await self._turned_away(
                context, HTTPStatus.FORBIDDEN, "a page of another site sent this\n"
            )
        base = self._console.section.base_path
        if base and request.path == base:
            return context.go("/")
        try:
            if base and not request.path.startswith(f"{base}/"):
                reason = (
                    f"the pages of this console begin with {base}/: a proxy has to pass the whole path on"
                )
                raise web.HTTPNotFound(reason=reason)
            context.viewer, context.session = identify(request, self._console)
            if context.viewer.by == "proxy" and not is_said(request.method, request.headers):
                raise web.HTTPForbidden(reason="a browser says where a form was sent from, and this does not")
            if context.viewer.rights:
                self._console.known.add(id(request.protocol))
            return await handler(request)
        except web.HTTPRedirection as found:
            return web.Response(status=found.status, headers={"location": found.headers["location"]})
        except Exception as error:
            status = status_of(error)
            if status in TURNED_AWAY:
                await self._note_refusal(context, status, getattr(error, "reason", ""))
            return await told(context, status, error)

    async def _turned_away(self, context: RequestContext, status: int, text: str) -> web.StreamResponse:
        await self._note_refusal(context, status, text.strip())
        return web.Response(status=status, text=text)

    async def _note_refusal(self, context: RequestContext, status: int, why: str) -> None:
        act = Act("refused", context.request.path)
        line = _line(context, act, _route(context.request), status, "refused", why)
        await asyncio.to_thread(self._console.audit.refused, line)

    def handler(self, route: Route) -> WebHandler:
        """Return a handler that runs the route's for those with its required right."""

        async def answer(request: web.Request) -> web.StreamResponse:
            context = request[CONTEXT]
            if route.right is not None and not context.may(route.right):
                if context.viewer is not NOBODY:
                    raise web.HTTPForbidden(reason=self._why_not(context, route))
                if route.method == "GET" and not (context.wants_data or context.is_partial):
                    return await login.first(context)
                raise web.HTTPUnauthorized(reason=LOGIN)
            if request.headers.get("content-encoding", "identity") != "identity":
                raise web.HTTPUnsupportedMediaType(reason="what is sent to a console is not compressed")
            if context.viewer is not NOBODY and (self._console.mask or not context.may("edit")):
                await context.run(self._console.written.look)
            if route.right == "edit":
                context.request = request.clone(client_max_size=EDIT_BYTES)
            if route.stream:
                return await self._streamed(route, context)
            async with asyncio.timeout(REQUEST_SECS):
                if route.changes:
                    return await self._audited(route, context)
                before = answers.shown(context, _page(request)) if route.method == "GET" else None
                return before or await route.handler(context)

        return answer

    def _why_not(self, context: RequestContext, route: Route) -> str:
        if self._console.section.read_only and route.right in CHANGING:
            return "this console is read-only"
        return f"your role ({context.viewer.role}) may not do this"

    async def _streamed(self, route: Route, context: RequestContext) -> web.StreamResponse:
        if self._streams.total() >= STREAMS:
            raise web.HTTPServiceUnavailable(reason=f"{STREAMS} pages are watching already: close one")
        if self._streams[context.person] >= STREAMS_EACH:
            reason = f"{STREAMS_EACH} of your pages are watching already: close one"
            raise web.HTTPServiceUnavailable(reason=reason)
        self._streams[context.person] += 1
        try:
            return await route.handler(context)
        finally:
            self._streams[context.person] -= 1
            self._streams += Counter()  # forgets those without one

    async def _audited(self, route: Route, context: RequestContext) -> web.StreamResponse:
        """Answer, and write the audit line; nothing is done where that cannot be written."""
        await asyncio.to_thread(self._console.audit.ready)
        status, why = 0, CUT_OFF
        try:
            response = await route.handler(context)
            status, why = response.status, ""
        except Exception as error:
            if not (isinstance(error, TimeoutError) and context.acts):  # what was begun goes on in its thread
                status, why = status_of(error), _codes(error)
            raise
        finally:
            # Also where the client has disconnected: what was done was done.
            await asyncio.shield(asyncio.ensure_future(self._write(route, context, status, why)))
        return response

    async def _write(self, route: Route, context: RequestContext, status: int, why: str) -> None:
        if context.looked and not context.acts:
            return
        audit = self._console.audit
        if status in TURNED_AWAY and not context.acts:
            return  # it has its line
        acts = context.acts or [Act("other", ", ".join(context.request.match_info.values()))]
        result: Result = "unknown" if not status else "done" if status < HTTPStatus.BAD_REQUEST else "refused"
        lines = [_line(context, act, route.path, status, result, why) for act in acts]
        if result != "done" and route.right is None:
            await asyncio.to_thread(audit.refused, lines[0])  # a stranger, perhaps one of many
            return
        try:
            await asyncio.to_thread(audit.write, lines)
        except AuditFailed:
            if result == "refused":
                return  # nothing was done, and the line is not lost: the next one carries it
            told = "it was done, but the audit could not be written: nothing more is done until it can"
            raise AuditFailed(told) from None


def _line(context: RequestContext, act: Act, path: str, status: int, result: Result, why: str) -> AuditLine:
    viewer, request = context.viewer, f"{context.request.method} {path}"
    role = viewer.role if viewer.rights else ""
    return AuditLine(act, viewer.name, role, viewer.by, context.address, request, status, result, why)


def _codes(error: Exception) -> str:
    """Return what an audit may say of an error: codes and our own words, never user input."""
    if isinstance(error, ConfigError) and error.findings:
        return ", ".join(dict.fromkeys(one.code for one in error.findings))
    return error.reason if isinstance(error, web.HTTPException) else type(error).__name__


def _page(request: web.Request) -> str:
    """Return the path of the page that a request is for, or that its form is on, without the base path."""
    resource = request.match_info.route.resource
    base = request[CONTEXT].console.section.base_path
    path = request.rel_url.raw_path.removeprefix(base)
    is_page = resource is None or resource.canonical.removeprefix(base) in _PAGES
    return path if is_page else path.rpartition("/")[0]


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return request.path if resource is None else resource.canonical
