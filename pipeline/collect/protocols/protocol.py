"""What a protocol is: its paths, how it cuts a request into members, and its answers."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b

import msgspec

from pipeline.collect.batch import Batch, Member, Why, cut_short
from pipeline.collect.masking import masked
from pipeline.collect.request import Answer, Request
from pipeline.model.records import NO_IDS

Extra = tuple[tuple[str, bytes], ...]
"""Headers of one member beside those of its request."""

_DIGEST_BYTES = 16


class Malformed(Exception):
    """Nothing of a request can be taken, now or later: it is no JSON, too large, or not signed."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


@dataclass(slots=True, frozen=True)
class Limits:
    """What one request may hold."""

    body_bytes: int = 20 << 20
    members: int = 5000
    member_bytes: int = 1 << 20


@dataclass(slots=True, frozen=True)
class Clock:
    """How far clients' clocks are believed. ``correct`` off: their times stay as they are."""

    correct: bool = True
    tolerance_ms: int = 5_000
    max_future_ms: int = 60_000


@dataclass(slots=True, frozen=True)
class Settings:
    """What the config says of all protocols."""

    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(default_factory=Clock)


class Piece(msgspec.Struct, gc=False):
    """One member as it was found, before it is known whose key came with it."""

    value: bytes | None
    user: str | None = None
    at_ms: int | None = None
    same: str | None = None
    """The id under which it would be sent twice; what it is unique in stands before it, with a zero byte."""
    extra: Extra = ()
    also: str | None = None
    """Another id of the user: the anonymous one beside the user id."""


class Cut(msgspec.Struct):
    """What a request holds.

    With ``answer`` nothing is kept and no key is asked for: that is what goes back. With ``hook`` the request
    was verified by its signature, under that name, and no key is looked for either.
    """

    protocol: Protocol
    credential: str | None
    pieces: Sequence[Piece] = ()
    shared: Extra = ()
    """Headers of every member of this request."""
    answer: Answer | None = None
    hook: str | None = None
    kept: Answer = Answer(200)
    """What is answered when all is kept, where that is known now."""
    shift_ms: int = 0
    """How far the clock of its client was put right."""
    verdicts: bool = False
    """The sender asks what the job would make of the members, and nothing is to be kept."""
    are_good: bool | list[bool] = False
    """The values of all pieces stand in a line as they are, see `members.Good`; or which of them."""

    def batch(self, key: str, request: Request) -> Batch:
        """Return the members as they are kept, under the name of the key (or of the hook).

        Of one that is too large how it begins is kept, with its size: the job makes a dead letter of it.
        """
        headers, begin = _begun(self.protocol.name, key)
        if self.shared:
            headers += self.shared
        secret = self.credential or None
        most = self.protocol.settings.limits.member_bytes
        are_good = self.are_good
        members: list[Member] = []
        for piece in self.pieces:
            same, extra, value, user = None, piece.extra, piece.value, piece.user
            said = piece.same
            if said is not None and said.rpartition("\0")[2] not in NO_IDS:
                digest = begin()
                digest.update(said.encode() if said.isascii() else said.encode("utf-8", "surrogatepass"))
                same = digest.digest()
            if value is not None and len(value) > most:
                value, says = cut_short(value, most)
                extra = (*extra, says)
                if are_good:
                    are_good = [True] * len(self.pieces) if are_good is True else are_good
                    are_good[len(members)] = False
            if secret is not None:
                if user is not None and secret in user:
                    user = masked(user, secret)
                if extra:
                    extra = _without(extra, secret)
            of_all = headers + extra if extra else headers
            members.append(Member(value, user, piece.at_ms, same, of_all, piece.also))
        return Batch(members, request.received_ms, request.origin is not None, are_good)


@lru_cache(maxsize=256)
def _begun(protocol: str, key: str) -> tuple[Extra, Callable[[], blake2b]]:
    """Return the headers of all members that come so, and what begins the digest of an id."""
    name = key.encode()
    # A hook may be named like a key, whose owner may know the ids of its webhooks.
    begun = blake2b((b"hooks/" if protocol == "hooks" else b"") + name + b"\0", digest_size=_DIGEST_BYTES)
    return (("hk-protocol", protocol.encode()), ("hk-key", name)), begun.copy


def _without(extra: Extra, secret: str) -> Extra:
    """Return the headers without the key: what the sender wrote into those that are not ours."""
    key, mode = secret.encode("utf-8", "surrogatepass"), "surrogateescape"
    if not any(key in value for _, value in extra):
        return extra
    return tuple(
        (name, value)
        if name.startswith("hk-")
        else (name, masked(value.decode("utf-8", mode), secret).encode("utf-8", mode))
        for name, value in extra
    )


def bearer(request: Request) -> str | None:
    """Return the key of a bearer authorization; None where there is none."""
    authorization = request.headers.get("authorization")
    if authorization is None or authorization[:7].lower() != "bearer ":
        return None
    return authorization[7:].strip()


def basic_pair(request: Request) -> str:
    """Return user and password of a basic authorization, as ``user:password``; "" where there is none."""
    authorization = request.headers.get("authorization", "")
    if authorization[:6].lower() != "basic ":
        return ""
    try:
        return b64decode(authorization[6:].strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


class Protocol:
    """One protocol's requests and answers; its rows of the table name the methods that cut."""

    name: str = ""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def accepted(self, request: Request, cut: Cut, repeats: int) -> Answer:
        """Return what is answered when every member is kept."""
        return cut.kept

    def malformed(self, request: Request, error: Malformed) -> Answer:
        """Return what is answered to a request of which nothing can be taken."""
        raise NotImplementedError

    def unauthorised(self, request: Request, status: int, reason: str) -> Answer:
        """Return what is answered where the key is missing or unknown (401), or not for this (403)."""
        return self.malformed(request, Malformed(reason, status))

    def refused(self, request: Request, why: Why, retry_secs: int) -> Answer:
        """Return what is answered to a request that may come again."""
        raise NotImplementedError


@dataclass(slots=True, frozen=True)
class Route:
    """One path of a protocol."""

    protocol: Protocol
    cutter: Callable[[Request, str], Cut]
    says: str = ""
    """What the path says: the type of the call, the name of the hook, a key."""

    def cut(self, request: Request) -> Cut:
        """Return what the request holds. Raises Malformed."""
        return self.cutter(request, self.says)


REFUSALS = {
    Why.BUSY: "more is coming in than can be kept at the moment",
    Why.DISK: "the collector's disk takes nothing at the moment",
    Why.BROKER: "the brokers do not acknowledge",
    Why.UNFIT: "the brokers refuse a record, whenever it comes; the collector's log says why",
    Why.STOPPING: "the collector is stopping",
}
"""What a sender reads: nothing of the inside, and that coming again is right."""
