"""The operator's endpoints of a collector, on the address at which events come in.

/healthz and /readyz reveal no internals. /metrics names keys, and behind a local proxy every request looks
local: so it requires the token in HOOKLINE_METRICS_TOKEN, and without that variable it is an unknown path
like any other. On a laptop (`keys: any`) it is open.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from pipeline.collect.request import Answer, Request
from pipeline.telemetry.metrics import render_prometheus
from pipeline.telemetry.process import PROMETHEUS, measure_process

PATHS: Final = frozenset({"/healthz", "/readyz", "/metrics", "/robots.txt"})
TOKEN: Final = "HOOKLINE_METRICS_TOKEN"
_NO_STORE: Final = (("cache-control", "no-store"),)


def _text(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), PROMETHEUS, _NO_STORE)


class Ops:
    """Answers those paths.

    not_ready: why nothing more should be sent here; None: it may. token: required by /metrics; None: there is
    none, and only is_open opens it.
    """

    def __init__(
        self,
        not_ready: Callable[[], str | None],
        publish: Callable[[], None],
        *,
        token: str | None,
        is_open: bool,
    ) -> None:
        self._not_ready = not_ready
        self._publish = publish
        self._wanted = f"Bearer {token}".encode() if token else None
        self._is_open = is_open

    def answer(self, request: Request) -> Answer | None:
        """Return the answer, None for any other path."""
        path = request.path
        if path == "/metrics" and self._wanted is not None:
            given = request.headers.get("authorization", "").encode("utf-8", "surrogatepass")
            if not hmac.compare_digest(given, self._wanted):
                return Answer(401, headers=(("www-authenticate", "Bearer"),))
        elif path == "/metrics" and not self._is_open:
            return None
        if request.method not in ("GET", "HEAD"):
            return Answer(405, headers=(("allow", "GET, HEAD"),))
        if path == "/healthz":
            return _text(200, "ok\n")
        if path == "/robots.txt":
            return _text(200, "User-agent: *\nDisallow: /\n")
        if path == "/readyz":
            reason = self._not_ready()
            return _text(200, "ready\n") if reason is None else _text(503, f"{reason}\n")
        self._publish()
        measure_process()
        return _text(200, render_prometheus())
