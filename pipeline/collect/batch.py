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
"""Of a line: what the request says of a member beside its bytes. Names are lower case."""


class Member(msgspec.Struct, frozen=True, gc=False):
    """One record of a request, as it was sent but for the value of its protocol's key fields."""

    value: bytes | None
    """None: a CloudEvent in binary mode without data."""
    user: str | None
    """The user id, else the anonymous id: the key of its line; None where it says neither."""
    at_ms: int | None
    """When the client says that it happened, corrected, in unix milliseconds; None: when it came."""
    same: bytes | None
    """Equal for what is sent twice: a digest of key and message id; None where it has no id."""
    headers: Headers
    """``hk-protocol``, ``hk-key`` and the like."""
    also: str | None = None
    """Another id of the user, as of one who was just identified: what goes by it is in order with this."""


def cut_short(value: bytes, most: int) -> tuple[bytes, tuple[str, bytes]]:
    """Return how a member begins that is too large, and the header of which the job makes a dead letter.

    For one of several: refused, it would take the others with it, as SDKs drop a batch that is too large.
    """
    return value[: min(most, KEPT_BYTES)], (CUT, b"%d" % len(value))


class Batch(msgspec.Struct, frozen=True):
    """All members of one request."""

    members: Sequence[Member]
    received_ms: int
    is_page: bool
    """It came from a page (it has an ``Origin``): requests of one page race, and are put in order."""
    are_good: bool | list[bool] = False
    """Each value stands in a line as it is, see `members.Good`; or which do. False: nobody has looked."""


class Why(StrEnum):
    """Why a request that could be read is not taken: it may come again, but for the last one."""

    BUSY = "busy"
    DISK = "disk"
    BROKER = "broker"
    UNFIT = "unfit"
    """The brokers refuse a member for good: their topic wants another form of record."""
    STOPPING = "stopping"
    TOO_LARGE = "too_large"
    """A member is larger than what the sink can ever take."""


class Refused(Exception):
    """Nothing of a batch was kept. ``retry_secs``: when it is worth coming again, 1 to 60."""

    def __init__(self, why: Why, retry_secs: int) -> None:
        super().__init__(why)
        self.why = why
        self.retry_secs = retry_secs


class Sink(Protocol):
    """Where batches are kept."""

    @property
    def waiting_bytes(self) -> int:
        """What was handed over and is not kept yet."""
        ...

    @property
    def retry_secs(self) -> int:
        """In how many seconds what waits now will be kept, 1 to 60."""
        ...

    @property
    def trouble(self) -> Why | None:
        """Why batches are refused at this time; None where they are not."""
        ...

    def measure(self) -> None:
        """Bring the metrics up to date; for once a second."""
        ...

    async def keep(self, batch: Batch) -> int:
        """Return how many members were repeats, when all of them are durable. Raises Refused."""
        ...

    def hand(self, batch: Batch) -> Future[int]:
        """Return what `keep` waits for; cancelling it does not take the batch back."""
        ...

    async def close(self) -> None:
        """Keep what was handed over, and let go."""
        ...
