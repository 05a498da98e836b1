"""Asking for the OAuth2 tokens of lanes, as tasks beside the deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from pipeline.config.models.receiver import ReceiverSettings
from pipeline.deliver.http.attempt import Client
from pipeline.deliver.lanes.clock import Clock
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.requests.oauth import TokenError, request_token
from pipeline.model.errors import HooklineError
from pipeline.telemetry.log import get
from pipeline.telemetry.metrics import count

log = get(__name__)


class Tokens:
    """Used by one event loop. answered: called with the lane when its token is there, or has failed."""

    def __init__(
        self,
        clients: Mapping[str, Client],
        clock: Clock,
        answered: Callable[[Lane], None],
    ) -> None:
        self._clients = clients
        self._clock = clock
        self._answered = answered
        self._tasks: set[asyncio.Task[None]] = set()

    def fetch(self, lane: Lane) -> None:
        """Begin to ask for the lane's token."""
        task = asyncio.ensure_future(self._ask(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()

    async def _ask(self, lane: Lane) -> None:
        from pipeline.deliver.http.aiohttp_client import AiohttpClient

        token, client = lane.token, self._clients["aiohttp"]
        assert token is not None
        assert isinstance(client, AiohttpClient)
        secrets = lane.secrets
        try:
            receiver = lane.spec.receiver if lane.spec is not None else ReceiverSettings()
            tls = client.contexts.name_for_tokens(receiver, secrets.expand)
            value, lifetime = await request_token(token.auth, secrets, partial(client.post, tls=tls))
        except (TokenError, HooklineError, OSError, ValueError) as error:
            token.failed(self._clock.now())
            text = secrets.mask(str(error))
            lane.tally.error = f"oauth2: {text}"
            log.warning("no oauth2 token", webhook=lane.webhook_id, error=text)
        else:
            token.arrived(value, lifetime, self._clock.now())
        result = "ok" if token.value is not None else "error"
        count("oauth_tokens_total", webhook=lane.webhook_id, result=result)
        # A token that a reload has replaced meanwhile is never looked at again.
        self._answered(lane)
