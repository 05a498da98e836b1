"""Sessions: a log-in link that works once and briefly, and the cookie a browser gets for it."""

from __future__ import annotations

import hmac
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pipeline.console.security.roles import Role
from pipeline.console.security.tokens import Token

_COOKIE: Final = "hookline_console"
LASTS_SECS: Final = 12 * 3600.0
LINK_SECS: Final = 15 * 60.0
"""How long the link is valid; a terminal's output is kept, and others may read it later."""
MOST: Final = 1_000
"""Sessions; the oldest are dropped."""


@dataclass(slots=True)
class Session:
    """What the console remembers of a browser."""

    name: str
    role: Role
    ends: float
    by: str = "link"
    token: Token | None = None
    """The token that opened it: it ends with that."""
    said: list[tuple[str, str]] = field(default_factory=list)
    """Messages for the next page: kind (good, bad) and text."""
    answers: dict[str, object] = field(default_factory=dict)
    """Pages that forms were answered with, by their URL."""
    saved: object = None
    """The file saved last, for the page that shows the result."""


class Sessions:
    """The log-ins; in memory only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._named: dict[str, Session] = {}
        self.cookie = _COOKIE
        """The cookie's name."""
        self.once = ""
        """The one-time token in the log-in link."""
        self._once_ends = 0.0
        self._renew()

    def listens(self, port: int) -> None:
        """Name the cookie after the port: browsers share cookies between all ports of a host, so two consoles
        on one machine would log each other's users out.
        """
        self.cookie = f"{_COOKIE}_{port}"

    def redeem(self, token: str) -> bool:
        """Return whether this is the link's token, in time; it is then used up."""
        good = hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self.once.encode())
        good = good and self._clock() < self._once_ends
        if good:
            self._renew()
        return good

    def renewed(self) -> bool:
        """Return whether there is a new link because the last one has expired unused."""
        if self._clock() < self._once_ends:
            return False
        self._renew()
        return True

    def _renew(self) -> None:
        self.once = secrets.token_urlsafe(24)
        self._once_ends = self._clock() + LINK_SECS

    def open(self, name: str, role: Role, by: str = "link", token: Token | None = None) -> str:
        """Return the cookie of a new session."""
        while len(self._sessions) >= MOST:
            del self._sessions[next(iter(self._sessions))]
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = Session(name, role, self._clock() + LASTS_SECS, by, token)
        return cookie

    def of_proxy(self, name: str) -> Session:
        """Return the messages and state of a user whom a proxy names at each request."""
        session = self._named.pop(name, None) or Session(name, "viewer", math.inf, "proxy")
        while len(self._named) >= MOST:
            del self._named[next(iter(self._named))]
        self._named[name] = session
        return session

    def all(self) -> list[Session]:
        """Return those of cookies and of proxies."""
        return [*self._sessions.values(), *self._named.values()]

    def find(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie; None where it has ended."""
        session = self._sessions.get(cookie or "")
        if session is not None and session.ends < self._clock():
            self.close(cookie)
            return None
        return session

    def close(self, cookie: str | None) -> None:
        """End a session."""
        self._sessions.pop(cookie or "", None)
