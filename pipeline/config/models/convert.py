"""From the models' sections to the plain settings that the engine reads."""

from __future__ import annotations

from pipeline.config.models.settings import (
    Auth,
    BasicAuth,
    BatchSettings,
    BearerAuth,
    DeliverySettings,
    HeaderAuth,
    HmacSignature,
    MtlsSettings,
    OAuth2Auth,
    ReceiverSettings,
    RetrySettings,
    Signature,
    StandardSignature,
)
from pipeline.config.models.webhook import AuthSection, DeliverySection, Request, SignatureSection


def delivery_settings(section: DeliverySection) -> DeliverySettings:
    """Return how a webhook's requests are sent."""
    retry, batch = section.retry, section.batch
    return DeliverySettings(
        timeout_secs=section.timeout,
        concurrency=section.concurrency,
        rate_per_sec=section.rate,
        ordering=section.ordering,
        retry=RetrySettings(
            min_delay_secs=retry.min_delay,
            max_delay_secs=retry.max_delay,
            max_age_secs=retry.max_age,
            max_attempts=retry.max_attempts,
            statuses=frozenset(retry.statuses),
        ),
        max_pending=section.max_pending,
        on_full=section.on_full,
        batch=None
        if batch is None
        else BatchSettings(batch.max_events, batch.max_bytes, batch.max_wait, batch.as_, batch.wrap),
        fail_when=section.fail_when,
        client=section.client,
        proxy=section.proxy,
    )


def receiver_settings(request: Request) -> ReceiverSettings:
    """Return who we are to the receiver and how we trust it; secrets stay as ``${NAME}``."""
    auth = request.auth
    mtls = auth.mtls if auth is not None else None
    return ReceiverSettings(
        auth=_auth(auth) if auth is not None else None,
        mtls=MtlsSettings(mtls.cert, mtls.key) if mtls is not None else None,
        ca=request.ca,
        signature=_signature(request.signature) if request.signature is not None else None,
    )


def _auth(section: AuthSection) -> Auth | None:
    if section.basic is not None:
        return BasicAuth(section.basic.username, section.basic.password)
    if section.bearer is not None:
        return BearerAuth(section.bearer.token)
    if section.header is not None:
        return HeaderAuth(section.header.name, section.header.value)
    if section.oauth2 is not None:
        it = section.oauth2
        return OAuth2Auth(it.token_url, it.client_id, it.client_secret, it.scope, it.refresh_token)
    return None


def _signature(section: SignatureSection) -> Signature | None:
    if section.standard_webhooks is not None:
        return StandardSignature(tuple(section.standard_webhooks.secrets))
    if section.hmac is not None:
        it = section.hmac
        prefix = it.prefix
        if prefix is None:
            prefix = f"{it.algorithm}=" if it.encoding == "hex" else ""
        return HmacSignature(it.header, it.secret, it.algorithm, prefix, it.encoding)
    return None
