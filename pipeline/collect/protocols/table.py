"""The one table of paths: which protocol answers which.

Slashes at the end do not count, several are one (`https://host/v1/` + `/batch`), and neither does what a
proxy put before the path count: of `/ingest/e/` the longest end that is a path of the table is taken.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from pipeline.collect.protocols import segment
from pipeline.collect.protocols.amplitude import Amplitude
from pipeline.collect.protocols.cloudevents import CloudEvents
from pipeline.collect.protocols.heap import Heap
from pipeline.collect.protocols.hooks.hooks import Hook, Webhooks
from pipeline.collect.protocols.mixpanel import Mixpanel
from pipeline.collect.protocols.native import Native
from pipeline.collect.protocols.posthog.capture import PostHog
from pipeline.collect.protocols.posthog.plumbing import Plumbing
from pipeline.collect.protocols.posthog.v1 import PostHogV1
from pipeline.collect.protocols.protocol import Route, Settings
from pipeline.collect.protocols.shared_paths import SharedPaths, Speaks

_Row = tuple[str, str, Route]
"""Method, path, and what answers."""

_SLASHES = re.compile("//+")
_MOST_PARTS = 8
"""A longer path is none of ours: it is not searched."""


class Table:
    """The routes of all protocols."""

    def __init__(
        self,
        settings: Settings,
        *,
        hooks: Mapping[str, Hook] | None = None,
        speaks: Speaks = lambda _: None,
    ) -> None:
        self._routes: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        for rows in (
            _native(settings),
            _segment(settings),
            _posthog(settings),
            _shared(settings, speaks),
            _others(settings),
            _hooks(settings, hooks or {}),
        ):
            for method, path, route in rows:
                if "{" in path:
                    pattern = re.compile(re.escape(path).replace(r"\{key\}", "([^/]+)") + "$")
                    self._patterns.append((pattern, {method: route}))
                else:
                    self._routes.setdefault(path, {})[method] = route

    def find(self, method: str, path: str) -> Route | None:
        """Return the route; None where there is none (then `methods` tells 404 from 405)."""
        return self._methods(path).get(method)

    def methods(self, path: str) -> Collection[str]:
        """Return the methods that the path has: none where it is unknown."""
        return self._methods(path)

    def _methods(self, path: str) -> dict[str, Route]:
        found = self._routes.get(path)
        if found is not None:
            return found
        path = _SLASHES.sub("/", path.rstrip("/"))
        found = self._routes.get(path)
        if found is not None:
            return found
        if path.count("/") > _MOST_PARTS:
            return {}
        for pattern, routes in self._patterns:
            named = pattern.search(path)
            if named is not None:
                return {method: _saying(route, named[1]) for method, route in routes.items()}
        while path:
            found = self._routes.get(path)
            if found is not None:
                return found
            following = path.find("/", 1)
            path = path[following:] if following != -1 else ""
        return {}


def _saying(route: Route, says: str) -> Route:
    return Route(route.protocol, route.cutter, says)


def _native(settings: Settings) -> Iterator[_Row]:
    native = Native(settings)
    yield "POST", "/v1/events", Route(native, native.cut)


def _segment(settings: Settings) -> Iterator[_Row]:
    calls, jitsu = segment.Segment(settings), segment.Jitsu(settings)
    for path in ("/v1/batch", "/v1/b", "/v1/import"):
        yield "POST", path, Route(calls, calls.cut)
    for path in ("/b", "/api/s/batch", "/api/s/s2s/batch"):
        yield "POST", path, Route(jitsu, jitsu.cut)
    for letter, name in segment.TYPES.items():
        yield "POST", f"/v1/{letter}", Route(calls, calls.cut, name)
    for name in (*segment.TYPES.values(), "merge", "delete"):
        yield "POST", f"/v1/{name}", Route(calls, calls.cut, name)
        yield "POST", f"/api/s/{name}", Route(jitsu, jitsu.cut, name)
        yield "POST", f"/api/s/s2s/{name}", Route(jitsu, jitsu.cut, name)
    yield "POST", "/v1/m", Route(calls, calls.measurements)
    yield "GET", "/v1/pixel/{key}", Route(calls, calls.pixel)
    yield "GET", "/v1/projects/{key}/settings", Route(calls, calls.settings_of)
    for method, path in (
        ("POST", "/beacon/v1/batch"),
        ("GET", "/pixel/v1/track"),
        ("GET", "/pixel/v1/page"),
        ("GET", "/sourceConfig"),
    ):
        yield method, path, Route(calls, calls.unserved)


def _posthog(settings: Settings) -> Iterator[_Row]:
    events, v1, plumbing = PostHog(settings), PostHogV1(settings), Plumbing(settings)
    for path in ("/e", "/capture", "/i/v0/e"):
        yield "POST", path, Route(events, events.cut)
        yield "GET", path, Route(events, events.cut)
    yield "POST", "/i/v1/analytics/events", Route(v1, v1.cut)
    for path in ("/flags", "/decide"):
        yield "POST", path, Route(plumbing, plumbing.flags)
        yield "GET", path, Route(plumbing, plumbing.flags)
    yield "GET", "/array/{key}/config", Route(plumbing, plumbing.config)
    yield "GET", "/array/{key}/config.js", Route(plumbing, plumbing.script)
    yield "GET", "/static/{key}", Route(plumbing, plumbing.unserved)
    yield "GET", "/api/surveys", Route(plumbing, plumbing.surveys)
    yield "POST", "/s", Route(plumbing, plumbing.thrown_away)
    for name in ("logs", "metrics", "traces"):
        yield "POST", f"/i/v1/{name}", Route(plumbing, plumbing.telemetry)


def _shared(settings: Settings, speaks: Speaks) -> Iterator[_Row]:
    mixpanel, amplitude = Mixpanel(settings), Amplitude(settings)
    shared = SharedPaths(settings, mixpanel, amplitude, segment.Jitsu(settings), speaks)
    for method in ("POST", "GET"):
        yield method, "/track", Route(shared, shared.track, "track")
        yield method, "/engage", Route(shared, shared.track, "engage")
        yield method, "/batch", Route(shared, shared.batch)
        yield method, "/groups", Route(mixpanel, mixpanel.cut, "groups")
    yield "POST", "/api/v1/identify", Route(shared, shared.identify, "identify")
    yield "POST", "/import", Route(mixpanel, mixpanel.cut, "import")
    for path in ("/2/httpapi", "/httpapi"):
        yield "POST", path, Route(amplitude, amplitude.cut)
    yield "POST", "/identify", Route(amplitude, amplitude.cut, "identify")


def _others(settings: Settings) -> Iterator[_Row]:
    heap, cloudevents = Heap(settings), CloudEvents(settings)
    for path, says in (
        ("/api/track", "track"),
        ("/api/add_user_properties", "add_user_properties"),
        ("/api/identify", "identify"),
    ):
        yield "POST", path, Route(heap, heap.cut, says)
    for path in ("/cloudevents", "/events"):
        yield "POST", path, Route(cloudevents, cloudevents.cut)
        yield "OPTIONS", path, Route(cloudevents, cloudevents.handshake)


def _hooks(settings: Settings, hooks: Mapping[str, Hook]) -> Iterator[_Row]:
    for name, hook in hooks.items():
        webhooks = Webhooks(settings, name, hook)
        yield "POST", f"/hooks/{name}", Route(webhooks, webhooks.cut)
