"""Builds a request's bytes from its deliveries: secrets filled in, headers added, signed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.http.target import Target, build_target
from pipeline.deliver.http.tls import Contexts
from pipeline.deliver.requests.credentials import UsedSecrets, auth_headers, make_signer
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.language.headers import CONTENT_TYPES
from pipeline.language.slots import Encoding, fill
from pipeline.outbox.handover import Delivery, Headers, Request

_KEPT_TARGETS = 256
_SLOT = re.compile(b"\x01[^\x02]*\x02")
_BODYLESS = frozenset({"GET", "DELETE", "HEAD"})
_NDJSON: Final = CONTENT_TYPES["ndjson"]
_ENCODINGS: Final[dict[str, Encoding]] = {
    CONTENT_TYPES["json"]: "json",
    CONTENT_TYPES["ndjson"]: "json",
    CONTENT_TYPES["form"]: "form",
    CONTENT_TYPES["text"]: "text",
}


class Sender:
    """Builds attempts of one webhook. Raises ValueError or ConfigError for what cannot be sent.

    Created with the first request, so that a missing secret fails the lane and not the start.
    """

    def __init__(self, spec: LaneSpec, secrets: UsedSecrets, contexts: Contexts) -> None:
        self.secrets = secrets
        self._spec = spec
        self._tls = contexts.name(spec.receiver, self.secrets.expand)
        self._signer = make_signer(spec.receiver, self.secrets)
        self._auth = auth_headers(spec.receiver, self.secrets)
        proxy = spec.delivery.proxy
        self._proxy = self.secrets.expand(proxy) if proxy else None
        ndjson = spec.encoding == "json" and spec.delivery.batch and spec.delivery.batch.as_ == "ndjson"
        self._content_type = CONTENT_TYPES["ndjson" if ndjson else spec.encoding]
        self._reads_headers, self._reads_body = spec.reads_headers, spec.reads_body
        self._values: dict[tuple[Encoding, bytes], bytes] = {}
        self._targets: dict[tuple[str, str, Headers], Target] = {}
        self._second = 0
        self.token_generation = 0
        """The generation of the OAuth2 token in use."""
        self._timestamp = b"0"
        self._first_time = _lines(b"0", 1)
        """The time and attempt header lines of a first attempt; they change once a second."""

    def set_token(self, token: str, generation: int) -> None:
        """Authenticate with this OAuth2 token from now on."""
        self.token_generation = generation
        self.secrets.remember(token, "${oauth2 token}", is_token=True)
        self._auth = f"Authorization: Bearer {token}\r\n".encode("latin-1")

    def single(self, delivery: Delivery, wall: float) -> Attempt:
        """Return the attempt for one delivery. ``wall``: unix seconds for ``webhook-timestamp``."""
        request, attempt = delivery.request, delivery.progress.attempt
        body = request.body
        if b"\x01" in body:
            body = self._filled(request, body)
        return self._build(request, request.message_id.encode(), body, attempt, request.replay, wall)

    def batch(self, deliveries: Sequence[Delivery], wall: float) -> Attempt:
        """Return the attempt for several deliveries with the same method, URL and headers."""
        wrap = self._spec.wrap
        first = deliveries[0].request
        bodies = [delivery.request.body for delivery in deliveries]
        if wrap is not None:
            body = wrap(bodies)
        elif self._kind(first) == _NDJSON:
            body = b"\n".join(bodies) + b"\n"
        else:
            body = b"[" + b",".join(bodies) + b"]"
        if b"\x01" in body:
            body = self._filled(first, body)
        attempt = min(delivery.progress.attempt for delivery in deliveries)
        replay = any(delivery.request.replay for delivery in deliveries)
        return self._build(first, batch_id(deliveries), body, attempt, replay, wall)

    def _kind(self, head: Request) -> str:
        """Return the body's content type: as rendered, whatever a reload has changed since."""
        own = next((value for name, value in head.headers if name == "content-type"), "")
        return own if own in _ENCODINGS else self._content_type

    def _filled(self, head: Request, body: bytes) -> bytes:
        """Return a body with its secrets, each looked up and escaped once."""
        encoding = _ENCODINGS[self._kind(head)]

        def value(found: re.Match[bytes]) -> bytes:
            slot = encoding, found.group()
            if slot not in self._values:
                _, _, self._values[slot] = fill("", (), slot[1], encoding=encoding, secrets=self.secrets)
            return self._values[slot]

        return _SLOT.sub(value, body)

    def _build(
        self, head: Request, message_id: bytes, body: bytes, attempt: int, replay: bool, wall: float
    ) -> Attempt:
        of = head.method, head.url, head.headers
        target = self._targets.get(of)
        if target is None:
            target = self._target(of)
        second = int(wall)
        if second != self._second:
            self._second = second
            self._timestamp = b"%d" % second
            self._first_time = _lines(self._timestamp, 1)
        signed = b"" if self._signer is None else self._signer.lines(message_id, self._timestamp, body)
        times = _lines(self._timestamp, attempt + 1) if attempt else self._first_time
        extra = b"".join((b"webhook-id: ", message_id, times, self._auth, signed))
        if replay:
            extra += b"webhook-replay: true\r\n"
        made = Attempt(target, extra, body)
        if self._reads_headers:
            made.headers_matter, made.whole = True, self._reads_body
        if self._proxy is not None:
            made.proxy, made.proxy_tls = self._proxy, self._tls
        return made

    def _target(self, key: tuple[str, str, Headers]) -> Target:
        method, url, headers = key
        url, headers, _ = fill(url, headers, b"", encoding=self._spec.encoding, secrets=self.secrets)
        content_type = None if method in _BODYLESS else self._content_type
        target = build_target(method, url, headers, content_type, self._tls, self._spec.webhook_id)
        if len(self._targets) >= _KEPT_TARGETS:
            self._targets.clear()
        self._targets[key] = target
        return target


def _lines(timestamp: bytes, attempt: int) -> bytes:
    """Return the header lines after the message's id."""
    return b"\r\nwebhook-timestamp: %b\r\nwebhook-attempt: %d\r\n" % (timestamp, attempt)


def batch_id(deliveries: Sequence[Delivery]) -> bytes:
    """Return the ``webhook-id`` of a batch: it depends only on its members, in their order."""
    digest = blake2b(digest_size=16)
    for delivery in deliveries:
        digest.update(delivery.request.message_id.encode() + b"\n")
    return b"msg_" + digest.hexdigest().encode()
