"""Fetches the OAuth2 tokens of lanes, in tasks beside the deliveries; handles refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.config.models.webhooks.receiver import ReceiverSettings
from pipeline.deliver.http.attempt import Client, OwnLimit
from pipeline.deliver.lanes.clock import Clock
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.lanes.limits.outages import hurry
from pipeline.deliver.lanes.limits.retry_after import retry_after_secs
from pipeline.deliver.lanes.policy import RetryAt, decide_token
from pipeline.deliver.lanes.retries import regroup
from pipeline.deliver.lanes.settling import Settler
from pipeline.deliver.requests.oauth import (
    Asking,
    Issued,
    NotYet,
    RefreshTokens,
    Token,
    TokenError,
    credentials,
    request_token,
)
from pipeline.model.errors import HooklineError
from pipeline.outbox.handover import Delivery
from pipeline.telemetry.log import get
from pipeline.telemetry.metrics import count

if TYPE_CHECKING:
    from pipeline.deliver.http.by_aiohttp.client import AiohttpClient

MOST_ISSUED = 1_000
"""From so many on, expired tokens are forgotten before another one is issued."""

log = get(__name__)


class Tokens:
    """Used by one event loop. answered: called with the lane once its token has arrived or failed."""

    def __init__(
        self,
        clients: Mapping[str, Client],
        clock: Clock,
        settler: Settler,
        answered: Callable[[Lane], None],
    ) -> None:
        self._clients = clients
        self._clock = clock
        self._settler = settler
        self._answered = answered
        self._tasks: set[asyncio.Task[None]] = set()
        self._rotated: RefreshTokens = {}
        self._issued: dict[tuple[Any, ...], Issued] = {}
        """By credentials."""

    def fetch(self, lane: Lane) -> None:
        """Start a request for the lane's token."""
        self._start(self._ask(lane))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """Make no more requests."""
        for task in self._tasks:
            task.cancel()

    async def _ask(self, lane: Lane) -> None:
        from pipeline.deliver.http.by_aiohttp.client import AiohttpClient

        token, client = lane.token, self._clients["aiohttp"]
        assert token is not None
        assert isinstance(client, AiohttpClient)
        try:
            receiver = lane.spec.receiver if lane.spec is not None else ReceiverSettings()
            issued = await self._issue(client, token, receiver, lane)
        except NotYet as error:
            token.postponed(error.until)
            lane.tally.status, lane.tally.error = 0, _told(lane, error)
        except (TokenError, HooklineError, OSError, ValueError) as error:
            now, status = self._clock.now(), error.status if isinstance(error, TokenError) else 0
            token.failed(now, self._asked_secs(error), refused=status != 0)
            count("oauth_tokens_total", webhook=lane.webhook_id, result="error")
            text = _told(lane, error)
            lane.tally.status, lane.tally.error = 0, text
            log.warning("no oauth2 token", webhook=lane.webhook_id, error=text)
            # A missing secret is the owner's fault, a limit this machine's: the deliveries wait.
            if lane.token is token and not isinstance(error, HooklineError | OwnLimit):
                not_given(self._settler, lane, text, status, now)
        else:
            now, failed = self._clock.now(), token.failures
            token.arrived(issued.value, issued.lifetime_secs, issued.at)
            count("oauth_tokens_total", webhook=lane.webhook_id, result="ok")
            if failed and lane.token is token:
                hurry(lane, now, self._settler.random)
        # A token that a reload has replaced meanwhile is ignored.
        self._answered(lane)

    async def _issue(
        self, client: AiohttpClient, token: Token, receiver: ReceiverSettings, lane: Lane
    ) -> Issued:
        """Return the token of the lane's credentials: the one that is there, or a new one."""
        secrets = lane.secrets
        # Bound to the client certificate, where there is one (RFC 8705).
        key = (*credentials(token.auth, secrets), receiver.mtls)
        if key not in self._issued and len(self._issued) >= MOST_ISSUED:
            now = self._clock.now()  # each rotated secret leaves one
            self._issued = {of: one for of, one in self._issued.items() if one.is_used(now)}
        issued = self._issued.setdefault(key, Issued())
        if issued.serves(token.refused, self._clock.now()):
            return issued
        tls = client.contexts.name_for_tokens(receiver, secrets.expand)
        proxy = lane.spec.delivery.proxy if lane.spec is not None else None
        proxy = secrets.expand(proxy) if proxy else None
        asking = issued.asking.setdefault((tls, proxy), Asking())
        if asking.task is None:
            asking.require_due(self._clock.now())
            post = partial(client.post, tls=tls, proxy=proxy)
            answer = request_token(token.auth, secrets, post, self._rotated)
            asking.task = self._start(self._request(issued, asking, answer))
        await asyncio.shield(asking.task)
        return issued

    async def _request(self, issued: Issued, asking: Asking, answer: Awaitable[tuple[str, float]]) -> None:
        try:
            issued.value, issued.lifetime_secs = await answer
            issued.at = self._clock.now()
            asking.succeeded()
        except (TokenError, OSError) as error:
            if not isinstance(error, OwnLimit):
                asking.failed(error, self._clock.now(), self._asked_secs(error))
            raise
        finally:
            asking.task = None

    def _asked_secs(self, error: Exception) -> float:
        """Return how long the token endpoint asks to wait."""
        headers = error.headers if isinstance(error, TokenError) else {}
        return retry_after_secs(headers.get("retry-after", ""), self._clock.wall(), headers.get("date"))


def _told(lane: Lane, error: Exception) -> str:
    return f"oauth2: {lane.secrets.mask(str(error))}"


def not_given(settler: Settler, lane: Lane, text: str, status: int, now: float) -> None:
    """Count an attempt for each delivery that was waiting for the token.

    status: of the token endpoint's answer, if that was a refusal.
    """
    spec, token = lane.spec, lane.token
    if spec is None or token is None:
        return
    items = [item for queue in lane.queues for item in queue]
    for queue in lane.queues:
        queue.clear()
    for item in items:
        retries: list[tuple[Delivery, RetryAt]] = []
        for delivery in item:
            if delivery.gone:
                continue
            decision = decide_token(
                status,
                token.refusals,
                attempt=delivery.progress.attempt + 1,
                age_secs=settler.clock.age_secs(delivery.request.created_ms, now),
                settings=spec.delivery.retry,
                random=settler.random,
            )
            settler.finish(lane, delivery, 0, text, decision, now, retries)
        regroup(settler.results, lane, retries, now)
