"""What a job says over HTTP: health, readiness, metrics for Prometheus, the accounting as JSON."""

from __future__ import annotations

import asyncio
import os
import resource
import time

import orjson
from aiohttp import web

from pipeline.admin.views import Views
from pipeline.telemetry import metrics


def make_app(views: Views) -> web.Application:
    """Return the application with /healthz, /readyz, /metrics and /status."""

    async def healthz(_request: web.Request) -> web.Response:
        return _verdict(views.unhealthy())

    async def readyz(_request: web.Request) -> web.Response:
        return _verdict(views.unhealthy() or views.unready())

    async def scrape(_request: web.Request) -> web.Response:
        measure_process()
        views.refresh()
        return web.Response(
            body=metrics.render_prometheus().encode(),
            headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def status(_request: web.Request) -> web.Response:
        shown = await asyncio.to_thread(views.status)
        return web.Response(body=orjson.dumps(shown), content_type="application/json")

    app = web.Application(client_max_size=1024)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", scrape)
    app.router.add_get("/status", status)
    return app


def _verdict(reason: str | None) -> web.Response:
    return web.Response(status=503, text=f"{reason}\n") if reason else web.Response(text="ok\n")


_PAGE = os.sysconf("SC_PAGE_SIZE")
_STARTED = time.monotonic()


def measure_process() -> None:
    """Set the metrics of the process itself to their present values."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    metrics.gauge("process_cpu_seconds_total", usage.ru_utime + usage.ru_stime)
    metrics.gauge("up_seconds", time.monotonic() - _STARTED)
    try:
        with open("/proc/self/statm", "rb") as statm:
            metrics.gauge("process_resident_memory_bytes", int(statm.read().split()[1]) * _PAGE)
        metrics.gauge("process_open_fds", len(os.listdir("/proc/self/fd")))
    except OSError:
        # No /proc on this system: the peak is the nearest thing to the present size.
        metrics.gauge("process_resident_memory_bytes", usage.ru_maxrss * 1024)
