"""OAuth2 tokens: client credentials, or a refresh token where one is given (RFC 6749, 4.4 and 6).

A lane without a token waits. Where none is given, that was an attempt of each delivery that waited for it.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import isfinite
from urllib.parse import quote_plus, urlencode

import orjson

from pipeline.config.models.receiver import OAuth2Auth
from pipeline.deliver.requests.credentials import UsedSecrets
from pipeline.deliver.requests.excerpt import excerpt
from pipeline.language.headers import CONTENT_TYPES

EARLY_SECS = 30.0
"""A token is renewed this long before it expires."""
UNKNOWN_SECS = 3600.0
MAX_RETRY_SECS = 60.0


LEAST_SECS = 1.0
"""Between two requests for a token of one lane."""
REFUSALS = 3
"""So often in a row a token is asked for, where the webhook sets no `max_attempts`, until it is refused."""
PATIENT = frozenset({408, 425, 429})
"""Statuses below 500 of a token endpoint that refuse nothing for good."""


class TokenError(Exception):
    """The token endpoint gave no token; the text holds no secret.

    status: of its answer, where that was a refusal; 0 where another try may well bring a token.
    """

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status if 300 <= status < 500 and status not in PATIENT else 0


Post = Callable[[str, bytes, dict[str, str]], Awaitable[tuple[int, bytes]]]
"""POST url, body, headers -> status and the start of the answer; guarded like any delivery."""


@dataclass(slots=True)
class Token:
    """The token of one lane."""

    auth: OAuth2Auth
    value: str | None = None
    expires: float = 0.0
    """Monotonic."""
    asking: bool = False
    asked_at: float = 0.0
    retry_at: float = 0.0
    failures: int = 0
    refusals: int = 0
    """Refusals in a row."""
    generation: int = 0

    def usable(self, now: float) -> bool:
        """Return whether requests may be sent with it."""
        return self.value is not None and now < self.expires - EARLY_SECS

    def ask(self, now: float) -> None:
        """Take note that one is asked for."""
        self.asking, self.asked_at = True, now

    def refuse(self, generation: int) -> None:
        """The receiver refused this token (401): get another, unless that has happened already."""
        if generation == self.generation:
            self.value = None

    def arrived(self, value: str, lifetime_secs: float, now: float) -> None:
        """Use a new token. One that lives shorter than the early renewal is used for its whole life."""
        self.value = value
        self.expires = now + max(lifetime_secs, 1.0) + (EARLY_SECS if lifetime_secs <= EARLY_SECS * 2 else 0)
        self.asking = False
        self.failures = self.refusals = 0
        self.retry_at = self.asked_at + LEAST_SECS
        self.generation += 1

    def failed(self, now: float, *, refused: bool = False) -> None:
        """Ask again later: after a second, then twice as long each time, at most a minute."""
        self.asking = False
        self.failures += 1
        self.refusals = self.refusals + 1 if refused else 0
        self.retry_at = now + min(MAX_RETRY_SECS, 2.0 ** min(self.failures - 1, 10))


async def request_token(auth: OAuth2Auth, secrets: UsedSecrets, post: Post) -> tuple[str, float]:
    """Return a token and its lifetime in seconds. Raises TokenError, ConfigError (missing secret)."""
    client_id, client_secret = secrets.expand(auth.client_id), secrets.expand(auth.client_secret)
    form = {"grant_type": "client_credentials"}
    if auth.refresh_token is not None:
        form = {"grant_type": "refresh_token", "refresh_token": secrets.expand(auth.refresh_token)}
    if auth.scope is not None:
        form["scope"] = auth.scope
    url = secrets.expand(auth.token_url)
    basic = base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()).decode()
    headers = {"accept": CONTENT_TYPES["json"], "content-type": CONTENT_TYPES["form"]}
    status, answer = await post(url, urlencode(form).encode(), headers | {"authorization": f"Basic {basic}"})
    if status in (400, 401):
        # RFC 6749, 2.3.1: some servers take the credentials in the form only.
        both = form | {"client_id": client_id, "client_secret": client_secret}
        status, answer = await post(url, urlencode(both).encode(), headers)
    if status != 200:
        shown = excerpt(answer, secrets)[:200]
        raise TokenError(f"the token endpoint answered {status}{': ' if shown else ''}{shown}", status)
    try:
        parsed = orjson.loads(answer)
        token, lifetime = parsed["access_token"], _lifetime(parsed.get("expires_in"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TokenError("the token endpoint's answer holds no access_token") from None
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise TokenError("the token endpoint's access_token is no text that a header can carry")
    return token, lifetime


def _lifetime(value: object) -> float:
    """Return the seconds that an answer says, as a number or its text; what makes no sense is unknown."""
    try:
        secs = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        secs = 0.0
    return secs if isfinite(secs) and secs > 0.0 else UNKNOWN_SECS
