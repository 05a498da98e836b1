"""CORS: only origins that some key names get answers that their pages can read.

Never `*`: that covers neither `authorization`, which analytics-next sends, nor credentials.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from pipeline.collect.request import Answer, Request

_MOST_NAMES: Final = 2_048
"""Maximum length of the header names that a page asks for."""
_KNOWN: Final = 1_024


class Cors:
    """Headers by origin."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[str, str], ...]] = {}

    def of(self, origin: str) -> tuple[tuple[str, str], ...]:
        """Return the headers for a page whose origin is allowed."""
        found = self._known.get(origin)
        if found is None:
            found = (
                ("access-control-allow-origin", origin),
                ("access-control-allow-credentials", "true"),
                ("access-control-expose-headers", "Retry-After"),
                ("vary", "origin"),
            )
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[origin] = found
        return found

    def allowed(self, answer: Answer, origin: str) -> Answer:
        """Return the answer with the headers that let this page read it."""
        return replace(answer, headers=answer.headers + self.of(origin))

    def preflight(self, request: Request, origin: str) -> Answer:
        """Return the answer to a preflight request."""
        names = request.headers.get("access-control-request-headers", "")
        headers = [*self.of(origin), ("access-control-allow-methods", "GET, POST, OPTIONS")]
        if names and len(names) <= _MOST_NAMES and all(map(_is_plain, names)):
            headers.append(("access-control-allow-headers", names))
        headers.append(("access-control-max-age", "7200"))
        return Answer(204, headers=tuple(headers))


def is_preflight(request: Request) -> bool:
    """Return whether a request is a CORS preflight."""
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def _is_plain(sign: str) -> bool:
    return sign.isascii() and (sign.isalnum() or sign in "-_, ")
