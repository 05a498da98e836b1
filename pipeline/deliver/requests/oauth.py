"""OAuth2 tokens: client credentials, or a refresh token where one is given (RFC 6749, 4.4 and 6).

A lane without a token waits; asking for one does not count as an attempt of a delivery.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import isfinite, nan
from urllib.parse import quote_plus, urlencode

from pipeline.config.models.receiver import OAuth2Auth
from pipeline.deliver.http.attempt import Posted
from pipeline.deliver.requests.answers import Unreadable, parse, text_of
from pipeline.deliver.requests.credentials import UsedSecrets
from pipeline.language.headers import CONTENT_TYPES

EARLY_SECS = 30.0
"""A token is renewed this long before it expires."""
UNKNOWN_SECS = 3600.0
_LONGEST_SECS = 365 * 86400.0
MAX_RETRY_SECS = 60.0


class TokenError(Exception):
    """The token endpoint gave no token; the text holds no secret."""


Post = Callable[[str, bytes, dict[str, str]], Awaitable[Posted]]
"""POST url, body, headers -> the answer; guarded like any delivery."""


@dataclass(slots=True)
class Token:
    """The token of one lane."""

    auth: OAuth2Auth
    value: str | None = None
    expires: float = 0.0
    """Monotonic."""
    asking: bool = False
    retry_at: float = 0.0
    failures: int = 0
    generation: int = 0

    def usable(self, now: float) -> bool:
        """Return whether requests may be sent with it."""
        return self.value is not None and now < self.expires - EARLY_SECS

    def refuse(self, generation: int) -> None:
        """The receiver refused this token (401): get another, unless that has happened already."""
        if generation == self.generation:
            self.value = None

    def arrived(self, value: str, lifetime_secs: float, now: float) -> None:
        """Use a new token. One that lives shorter than the early renewal is used for its whole life."""
        self.value = value
        self.expires = now + max(lifetime_secs, 1.0) + (EARLY_SECS if lifetime_secs <= EARLY_SECS * 2 else 0)
        self.asking = False
        self.failures = 0
        self.generation += 1

    def failed(self, now: float) -> None:
        """Ask again later: after a second, then twice as long each time, at most a minute."""
        self.asking = False
        self.failures += 1
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
    answer = await post(url, urlencode(form).encode(), headers | {"authorization": f"Basic {basic}"})
    if answer.status in (400, 401):
        # RFC 6749, 2.3.1: some servers take the credentials in the form only.
        both = form | {"client_id": client_id, "client_secret": client_secret}
        answer = await post(url, urlencode(both).encode(), headers)
    if answer.status != 200:
        raise TokenError(f"the token endpoint answered {answer.status}")
    return read_token(answer)


def read_token(answer: Posted) -> tuple[str, float]:
    """Return the token of an answer and its lifetime in seconds; raises TokenError."""
    try:
        parsed = parse(text_of(answer.answer, answer.headers, cut=answer.cut))
    except Unreadable as error:
        raise TokenError(f"the token endpoint's answer cannot be read: {error}") from None
    if not isinstance(parsed, dict) or "access_token" not in parsed:
        said = parsed.get("error") if isinstance(parsed, dict) else None
        told = f" but the error {ascii(said)[:100]}" if said is not None else ""
        raise TokenError(f"the token endpoint's answer holds no access_token{told}")
    token = parsed["access_token"]
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise TokenError("the token endpoint's access_token is no text that a header can carry")
    return token, _lifetime(parsed.get("expires_in"))


def _lifetime(said: object) -> float:
    """Return the seconds that `expires_in` means; where it is missing or says that it is over, an hour:
    a token that is refused is renewed anyway.
    """
    if said is None:
        return UNKNOWN_SECS
    try:
        secs = float(said) if isinstance(said, int | float | str) and not isinstance(said, bool) else nan
    except (ValueError, OverflowError):
        secs = nan
    if not isfinite(secs):
        raise TokenError(
            f"the token endpoint's expires_in is {ascii(said)[:40]}, a number of seconds is wanted"
        )
    return min(secs, _LONGEST_SECS) if secs > 0 else UNKNOWN_SECS
