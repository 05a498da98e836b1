"""One table of all paths: which protocol answers, and what the path says.

Slashes at the end do not count, and neither does what a proxy put before the path: of `/ingest/e/` the
longest end that is a path of the table is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from pipeline.collect.protocols.native import Native
from pipeline.collect.protocols.protocol import Route, Settings

Speaks = Callable[[str | None], Collection[str] | None]
"""A credential -> the protocols that its key names; None where the key is unknown or names none."""

_MOST_PARTS = 8
"""A longer path is none of ours: it is not searched."""


class Table:
    """The routes of all protocols."""

    def __init__(self, settings: Settings, *, speaks: Speaks = lambda _: None) -> None:
        native = Native(settings)
        self._routes: dict[str, dict[str, Route]] = {"/v1/events": {"POST": Route(native, native.cut)}}

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
        path = path.rstrip("/")
        if path.count("/") > _MOST_PARTS:
            return {}
        while path:
            found = self._routes.get(path)
            if found is not None:
                return found
            following = path.find("/", 1)
            path = path[following:] if following != -1 else ""
        return {}
