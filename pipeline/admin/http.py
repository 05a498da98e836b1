"""The public routes of a job as pages over HTTP: health, readiness, metrics, status."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from pipeline.admin.routes import Route, Routes, answer


def make_app(routes: Routes) -> web.Application:
    """Return the application; a page whose handler raises is a 503 with the reason, a bug is a 500."""
    app = web.Application(client_max_size=1024)
    for route in routes:
        if route.public:
            app.router.add_get(f"/{route.name}", _page(route))
    return app


def _page(route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def page(_request: web.Request) -> web.Response:
        found = await asyncio.to_thread(answer, route, {})
        if found.error is not None:
            # A stranger needs no inner words.
            reason = "this failed; the job's log says more" if found.bug else found.error
            return web.Response(status=500 if found.bug else 503, text=f"{reason}\n")
        if isinstance(found.result, bytes):
            return web.Response(body=found.result, content_type="application/json")
        return web.Response(body=found.result.encode(), headers={"content-type": route.content_type})

    return page
