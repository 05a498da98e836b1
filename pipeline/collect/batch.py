"""The events of one request: members that are all kept or all refused."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from pipeline.decode.collected import CUT
from pipeline.model.sizes import KEPT_BYTES

Headers = Sequence[tuple[str, bytes]]
"""Of a recorded line: what the request says about a member besides its bytes. Names are lower case."""


class Member(msgspec.Struct, frozen=True, gc=False):
    """One record of a request, as it was sent except for the values of its protocol's key fields."""

    value: bytes | None
    """None: a CloudEvent in binary mode without data."""
    user: str | None
    """The user id, else the anonymous id: the key of its line; None where it has neither."""
    at_ms: int | None
    """The client's time of occurrence, corrected, in unix milliseconds; None: when it was received."""
    same: bytes | None
    """Equal for duplicates: a digest of key and message id; None where it has no id."""
    headers: Headers
    """``hk-protocol``, ``hk-key`` and the like."""
    also: str | None = None
    """Another id of the user, for example of one just identified: its members are ordered with this one."""


def cut_short(value: bytes, most: int) -> tuple[bytes, tuple[str, bytes]]:
    """Return the beginning of an oversized member, with the header that makes the job dead-letter it.

    For one of several: refusing it would lose the others, as SDKs drop a batch that is too large.
    """
    return value[: min(most, KEPT_BYTES)], (CUT, b"%d" % len(value))


class Batch(msgspec.Struct, frozen=True):
    """All members of one request."""

    members: Sequence[Member]
    received_ms: int
    is_page: bool
    """It came from a page (it has an ``Origin``): requests of one page race, and are put in order."""
    are_good: bool | list[bool] = False
    """Each value may stand in a line as it is, see `members.Good`; or which ones may. False: not
    checked yet."""


class Why(StrEnum):
    """Why a readable request is refused: it may be retried, except for the last reason."""

    BUSY = "busy"
    DISK = "disk"
    BROKER = "broker"
    UNFIT = "unfit"
    """The brokers refuse a member for good: their topic requires another form of record."""
    STOPPING = "stopping"
    TOO_LARGE = "too_large"
    """A member is larger than the sink can ever take."""


class Refused(Exception):
    """Nothing of a batch was kept. ``retry_secs``: when to retry, 1 to 60."""

    def __init__(self, why: Why, retry_secs: int) -> None:
        super().__init__(why)
        self.why = why
        self.retry_secs = retry_secs


class Sink(Protocol):
    """Where batches are kept."""

    @property
    def trouble(self) -> Why | None:
        """Why batches are currently refused; None where they are not."""
        ...

    def measure(self) -> None:
        """Update the metrics; called once a second."""
        ...

    def hand(self, batch: Batch) -> Future[int]:
        """Return the number of duplicates once all members are durable; the future raises Refused.

        Cancelling it does not withdraw the batch.
        """
        ...

    async def close(self) -> None:
        """Keep what was handed over, and close."""
        ...
