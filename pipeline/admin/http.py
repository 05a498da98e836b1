"""The public routes of a job as pages over HTTP: health, readiness, metrics, status."""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections.abc import Awaitable, Callable, Collection
from ipaddress import ip_address

from aiohttp import web

from pipeline.admin.routes import Route, Routes, answer
from pipeline.language.addresses import named_host

PROBES = ("healthz", "readyz")
"""Pages that a supervisor may request without a token: they say well or not, and why."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(routes: Routes, names: Collection[str] = (), token: str | None = None) -> web.Application:
    """Return the application; a page whose handler raises is a 503 with the reason, a bug is a 500.

    names: accepted Host names, besides addresses, localhost and this machine's own name: a web page whose
    name was rebound to this address must not read them. token: required by everything except the probes
    (``authorization: Bearer ..``); None: none.
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _is_ours(request.headers.get("host", ""), names):
            text = "this host name is not known here: name it, `--metrics ADDRESS,NAME`\n"
            return web.Response(status=421, text=text)
        if token is not None and request.path.strip("/") not in PROBES:
            given = request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, f"Bearer {token}".encode()):
                headers = {"www-authenticate": "Bearer"}
                return web.Response(status=401, text="this page wants the token\n", headers=headers)
        return await handler(request)

    app = web.Application(client_max_size=1024, middlewares=[guarded])
    app.on_response_prepare.append(_without_banner)
    for route in routes:
        if route.public:
            app.router.add_get(f"/{route.name}", _page(route))
    return app


async def _without_banner(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("server", None)
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["cache-control"] = "no-store"


def _is_ours(host: str, names: Collection[str]) -> bool:
    """Return whether a Host header names an address, this machine, or one of these names."""
    name = named_host(host)
    try:
        ip_address(name)
        return True
    except ValueError:
        return name in ("localhost", socket.gethostname().lower(), *(one.lower() for one in names))


def _page(route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def page(_request: web.Request) -> web.Response:
        found = await asyncio.to_thread(answer, route, {})
        if found.error is not None:
            # Strangers get no internal details.
            reason = "this failed; the job's log says more" if found.bug else found.error
            return web.Response(status=500 if found.bug else 503, text=f"{reason}\n")
        if isinstance(found.result, bytes):
            return web.Response(body=found.result, content_type="application/json")
        return web.Response(body=found.result.encode(), headers={"content-type": route.content_type})

    return page
