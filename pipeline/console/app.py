"""The console as an application of aiohttp: every request passes the same gate, every error ends in words."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from pipeline.console.context import FORM_BYTES, Asked, Console
from pipeline.console.render import page
from pipeline.console.routes import ROUTES, Route
from pipeline.console.security.headers import harden
from pipeline.console.security.origin import is_known, is_ours
from pipeline.console.security.roles import CHANGING, RIGHTS, Viewer
from pipeline.console.security.sessions import COOKIE
from pipeline.model.errors import ConfigError, HooklineError, UsageError
from pipeline.operate.edits import Changed
from pipeline.telemetry import log

_log = log.get("console")
NOBODY: Final = Viewer("", "viewer", frozenset())

WebHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(console: Console) -> web.Application:
    """Return the application of a console, ready to be served."""

    @web.middleware
    async def gate(request: web.Request, handler: WebHandler) -> web.StreamResponse:
        nonce = secrets.token_urlsafe(16)
        request["nonce"] = nonce
        response = await _guarded(console, request, handler)
        harden(response, nonce)
        return response

    app = web.Application(client_max_size=FORM_BYTES, middlewares=[gate])
    for route in ROUTES:
        app.router.add_route(route.method, console.options.base_path + route.path, _handler(console, route))
    return app


async def _guarded(console: Console, request: web.Request, handler: WebHandler) -> web.StreamResponse:
    host = request.headers.get("host", "")
    if not is_known(host, console.options.names):
        text = f"this console is not known as {host!r}: name it, `--host NAME`\n"
        return web.Response(status=HTTPStatus.MISDIRECTED_REQUEST, text=text)
    if not is_ours(request.method, request.headers, host):
        return web.Response(status=HTTPStatus.FORBIDDEN, text="a page of another site sent this\n")
    try:
        return await handler(request)
    except web.HTTPRedirection as found:
        return found
    except web.HTTPException as error:
        return await _told(console, request, error.status, error.reason)
    except HooklineError as error:
        return await _told(console, request, status_of(error), str(error), error)
    except TimeoutError:
        return await _told(console, request, HTTPStatus.SERVICE_UNAVAILABLE, "this takes too long: try again")
    except Exception:
        _log.error("a page failed", path=request.path, error=traceback.format_exc())
        text = "this is a fault of Hookline; the console's log says more"
        return await _told(console, request, HTTPStatus.INTERNAL_SERVER_ERROR, text)


def status_of(error: HooklineError) -> int:
    """Return the status that says what kind of error it is."""
    match error:
        case Changed():
            return HTTPStatus.PRECONDITION_FAILED
        case ConfigError():
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case UsageError():
            return HTTPStatus.BAD_REQUEST
        case _:
            return HTTPStatus.CONFLICT


async def _told(
    console: Console, request: web.Request, status: int, words: str, error: HooklineError | None = None
) -> web.StreamResponse:
    """Return an error as the caller reads it: JSON for the API, a page for a person."""
    findings = error.findings if isinstance(error, ConfigError) else ()
    if _is_api(console, request):
        body = {"error": words, **({"findings": [one.to_json() for one in findings]} if findings else {})}
        return web.json_response(body, status=status)
    asked = _asked(console, request)
    title = HTTPStatus(status).phrase
    return await page(asked, "error.html", status=status, title=title, words=words, findings=findings)


def _is_api(console: Console, request: web.Request) -> bool:
    path = request.path.removeprefix(console.options.base_path)
    return path.startswith("/api/") or request.query.get("format") == "json"


def _handler(console: Console, route: Route) -> WebHandler:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = _asked(console, request)
        if route.right is not None and asked.viewer is NOBODY:
            if route.method == "GET" and not _is_api(console, request):
                return asked.go("/login")
            raise web.HTTPUnauthorized(reason="log in first: the link that `hookline console` prints")
        if route.right is not None and not asked.may(route.right):
            raise web.HTTPForbidden(reason=f"your role ({asked.viewer.role}) may not do this")
        return await route.handler(asked)

    return answer


def _asked(console: Console, request: web.Request) -> Asked:
    session = console.sessions.find(request.cookies.get(COOKIE))
    viewer = NOBODY
    if session is not None:
        rights = RIGHTS[session.role] - (CHANGING if console.options.read_only else frozenset())
        viewer = Viewer(session.name, session.role, rights)
    return Asked(request, console, viewer, session, request["nonce"])
