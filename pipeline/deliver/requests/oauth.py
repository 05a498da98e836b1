"""OAuth2 tokens: client credentials, or a refresh token where one is configured (RFC 6749, 4.4 and 6).

A lane without a token waits. Where none is issued, that counts as an attempt of each waiting delivery.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isfinite, nan
from typing import Any
from urllib.parse import quote_plus, urlencode

from pipeline.config.models.webhooks.receiver import OAuth2Auth
from pipeline.deliver.http.attempt import Posted
from pipeline.deliver.requests.answers import Unreadable, legible, parse, text_of
from pipeline.deliver.requests.credentials import UsedSecrets, value_of
from pipeline.deliver.requests.excerpt import excerpt
from pipeline.language.headers import CONTENT_TYPES

EARLY_SECS = 30.0
"""A token is renewed this long before it expires."""
UNKNOWN_SECS = 3600.0
_LONGEST_SECS = 365 * 86400.0
MAX_RETRY_SECS = 60.0
MAX_ASKED_SECS = 3600.0
"""The longest Retry-After of a token endpoint that is obeyed: all deliveries wait for it."""
LEAST_SECS = 1.0
"""Pause between two token requests of one lane."""
REFUSALS = 3
"""Consecutive refusals that are final, where the webhook sets no `max_attempts`."""
REFUSED = frozenset({200, 400, 401})
"""Refusals that are of the refresh token itself; others may come from a proxy."""
PATIENT = frozenset({408, 425, 429})
"""Statuses below 500 of a token endpoint that are not a final refusal."""
PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
"""Errors in a successful status of a token endpoint that are not a final refusal."""
_HOLDS_TOKEN = re.compile(rb"""(?:access|refresh|id)_?token\\?["']?\s*[=:>]""", re.IGNORECASE)


class TokenError(Exception):
    """The token endpoint issued no token; the text holds no secret.

    status: of its answer, if that was a refusal; 0 where a retry may succeed. headers: of the answer.
    """

    def __init__(self, text: str, status: int = 0, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers or {}


Post = Callable[[str, bytes, dict[str, str]], Awaitable[Posted]]
"""POST url, body, headers -> the answer; guarded like any delivery."""


@dataclass(slots=True)
class Token:
    """The token of one lane."""

    auth: OAuth2Auth
    value: str | None = None
    refused: str | None = None
    """The last one that the receiver refused."""
    until: float = 0.0
    """When it is renewed, by the monotonic clock."""
    asking: bool = False
    asked_at: float = 0.0
    retry_at: float = 0.0
    failures: int = 0
    refusals: int = 0
    """Consecutive refusals."""
    generation: int = 0
    useless: int = 0
    """How often a renewal has not helped: the receiver refused the new token, too."""
    useless_at: int = 0
    """The generation that it refused last, after a renewal."""
    renewable_at: float = 0.0

    def usable(self, now: float) -> bool:
        """Return whether requests may be sent with it."""
        return self.value is not None and now < self.until

    def ask(self, now: float) -> None:
        """Note that one is requested."""
        self.asking, self.asked_at = True, now

    def refuse(self, generation: int, now: float) -> bool:
        """The receiver refused this token: get another, unless that is already under way.

        Return False where others have not helped lately: a token may cost money, or count.
        """
        if now < self.renewable_at:
            return False
        if generation == self.generation and self.value is not None:
            self.refused, self.value = self.value, None
        return True

    def did_not_help(self, generation: int, now: float) -> None:
        """The receiver refused a delivery again that was sent with a new token, of this generation."""
        if generation > self.useless_at:
            long_ago = now > self.renewable_at + MAX_RETRY_SECS
            self.useless, self.useless_at = 1 if long_ago else self.useless + 1, generation
            self.renewable_at = now + min(MAX_RETRY_SECS, 2.0 ** min(self.useless, 10))

    def arrived(self, value: str, lifetime_secs: float, issued: float) -> None:
        """Use a new token. issued: when it was."""
        self.value = value
        self.until = renewed_at(lifetime_secs, issued)
        self.asking = False
        self.failures = self.refusals = 0
        self.retry_at = self.asked_at + LEAST_SECS
        self.generation += 1

    def failed(self, now: float, asked_secs: float = 0.0, *, refused: bool = False) -> None:
        """Retry later: after a second, then twice as long each time, at most a minute; or after
        ``asked_secs``.
        """
        self.asking = False
        self.failures += 1
        self.refusals = self.refusals + 1 if refused else 0
        self.retry_at = now + pause_secs(self.failures, asked_secs)

    def postponed(self, until: float) -> None:
        """Ask then: the request of another webhook has failed lately."""
        self.asking, self.retry_at = False, until


def pause_secs(failures: int, asked_secs: float) -> float:
    """Return how long no token is asked for after so many failures in a row."""
    return max(min(MAX_RETRY_SECS, 2.0 ** min(failures - 1, 10)), min(asked_secs, MAX_ASKED_SECS))


def renewed_at(lifetime_secs: float, issued: float) -> float:
    """Return when a token is renewed; one that lives only a minute is used for its whole life."""
    early_secs = EARLY_SECS if lifetime_secs > EARLY_SECS * 2 else 0.0
    return issued + max(lifetime_secs, 1.0) - early_secs


@dataclass(slots=True)
class Rotated:
    """A refresh token that may be replaced with each use: many servers accept each once (RFC 6749, 6)."""

    latest: str
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it is used, as several webhooks may share it."""


RefreshTokens = dict[tuple[str, str], Rotated]
"""By token URL and the configured refresh token."""


def credentials(auth: OAuth2Auth, secrets: UsedSecrets) -> tuple[str, ...]:
    """Return what a token is asked for with. Raises ConfigError (missing secret)."""
    texts = [auth.token_url, auth.client_id, auth.client_secret, auth.refresh_token or ""]
    texts += [text or "" for text in (auth.scope, auth.audience, auth.resource)]
    return tuple(value_of(secrets, text) for text in texts)


class NotYet(Exception):
    """The last request for this token has failed, also for another webhook; says how."""

    def __init__(self, until: float, text: str) -> None:
        super().__init__(text)
        self.until = until


@dataclass(slots=True)
class Asking:
    """The requests for a token that go one way, of all webhooks: an endpoint that refuses is spared."""

    task: asyncio.Task[None] | None = None
    failures: int = 0
    """In a row."""
    until: float = 0.0
    """When the next one may be made."""
    error: str = ""

    def require_due(self, now: float) -> None:
        """Raise NotYet where it is too early for another request."""
        if now < self.until:
            raise NotYet(self.until, self.error)

    def failed(self, error: Exception, now: float, asked_secs: float) -> None:
        """Note that a request has failed."""
        self.failures, self.error = self.failures + 1, str(error)
        self.until = now + pause_secs(self.failures, asked_secs)

    def succeeded(self) -> None:
        """Note that there is a token."""
        self.failures, self.until = 0, 0.0


@dataclass(slots=True)
class Issued:
    """The token of all webhooks with the same credentials.

    Some servers let a client have one: the next ends it. And a thousand webhooks make one call.
    """

    value: str = ""
    lifetime_secs: float = 0.0
    at: float = 0.0
    """When it was issued."""
    asking: dict[Any, Asking] = field(default_factory=dict)
    """By the way that a request goes: a webhook whose proxy is down keeps no token from the others."""

    def is_used(self, now: float) -> bool:
        """Return whether it is valid, or requested, or not to be requested yet."""
        asked = any(one.task is not None or now < one.until for one in self.asking.values())
        return asked or self.serves(None, now)

    def serves(self, refused: str | None, now: float) -> bool:
        """Return whether it can be used by a webhook whose receiver refused that one."""
        return self.value not in ("", refused) and now < renewed_at(self.lifetime_secs, self.at)


async def request_token(
    auth: OAuth2Auth, secrets: UsedSecrets, post: Post, rotated: RefreshTokens
) -> tuple[str, float]:
    """Return a token and its lifetime in seconds. Raises TokenError, ConfigError (missing secret).

    rotated: updated with the refresh token that comes along.
    """
    if auth.refresh_token is None:
        return (await _request(auth, secrets, post, None))[:2]
    url, given = value_of(secrets, auth.token_url), value_of(secrets, auth.refresh_token)
    one = rotated.setdefault((url, given), Rotated(given))
    async with one.turn:
        try:
            token, lifetime, replaced = await _request(auth, secrets, post, one.latest)
        except TokenError as error:
            if error.status in REFUSED:
                one.latest = given  # next time the configured one
            raise
        if replaced:
            secrets.remember(replaced, "${oauth2 refresh token}", is_token=True)
            one.latest = replaced
        return token, lifetime


async def _request(
    auth: OAuth2Auth, secrets: UsedSecrets, post: Post, refresh_token: str | None
) -> tuple[str, float, str]:
    """Return what `read_token` does."""
    value = partial(value_of, secrets)
    client_id, client_secret = value(auth.client_id), value(auth.client_secret)
    url = value(auth.token_url)
    form = {"grant_type": "client_credentials"}
    if refresh_token is not None:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    given = {"scope": auth.scope, "audience": auth.audience, "resource": auth.resource}
    form |= {name: value(text) for name, text in given.items() if text is not None}
    headers = {"accept": CONTENT_TYPES["json"], "content-type": CONTENT_TYPES["form"]}
    basic = base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()).decode()

    async def ask(form: dict[str, str], **more: str) -> tuple[str, float, str]:
        answer = await post(url, urlencode(form).encode(), headers | more)
        if 200 <= answer.status < 300:
            return read_token(answer)
        shown = _shown(answer, secrets)
        told = f"the token endpoint answered {answer.status}{': ' if shown else ''}{shown}"
        refused = 300 <= answer.status < 500 and answer.status not in PATIENT
        raise TokenError(told, answer.status if refused else 0, answer.headers)

    try:
        return await ask(form, authorization=f"Basic {basic}")
    except TokenError as error:
        if not error.status or 300 <= error.status < 400:
            raise
        first = str(error)
    # RFC 6749, 2.3.1: some servers only accept the credentials in the form, and differ in how they say so.
    try:
        return await ask(form | {"client_id": client_id, "client_secret": client_secret})
    except TokenError as error:
        if str(error) != first:
            error.args = (f"{first}; with client_id and client_secret in the form: {error}",)
        raise


def read_token(answer: Posted) -> tuple[str, float, str]:
    """Return the token in an answer, its lifetime in seconds, and the refresh token that comes along or "".

    Raises TokenError.
    """
    try:
        parsed = parse(text_of(answer.answer, answer.headers, cut=answer.cut))
    except Unreadable as error:
        raise TokenError(f"the token endpoint's answer cannot be read: {error}") from None
    if not isinstance(parsed, dict) or "access_token" not in parsed:
        said = parsed.get("error") if isinstance(parsed, dict) else None
        told = f" but the error {ascii(said)[:100]}" if said is not None else ""
        # Some refuse with a successful status.
        refused = said is not None and said not in PASSING
        raise TokenError(
            f"the token endpoint's answer holds no access_token{told}", answer.status if refused else 0
        )
    token = parsed["access_token"]
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise TokenError("the token endpoint's access_token is no text that a header can carry")
    replaced = parsed.get("refresh_token")
    return token, _lifetime(parsed.get("expires_in")), replaced if isinstance(replaced, str) else ""


def _shown(answer: Posted, secrets: UsedSecrets) -> str:
    """Return the beginning of a refusal, decoded; nothing of an answer that contains a token."""
    said = legible(answer.answer, answer.headers)
    if 300 <= answer.status < 400 and (location := answer.headers.get("location")):
        said = f"it redirects to {location}".encode("latin-1", "replace")
    return "" if _HOLDS_TOKEN.search(said) else excerpt(said, secrets)[:200]


def _lifetime(said: object) -> float:
    """Return the seconds that `expires_in` means; an hour where it is missing or makes no sense: a refused
    token is renewed anyway.
    """
    if said is None:
        return UNKNOWN_SECS
    try:
        secs = float(said) if isinstance(said, int | float | str) and not isinstance(said, bool) else nan
    except (ValueError, OverflowError):
        secs = nan
    return min(secs, _LONGEST_SECS) if isfinite(secs) and secs > 0 else UNKNOWN_SECS
