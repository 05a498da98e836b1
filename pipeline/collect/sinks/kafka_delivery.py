"""A batch in the hands of the Kafka client: the fate of each member, and whether to retry it.

Brokers take or refuse messages by the set, so one that they never take has others refused with it. What they
refuse for good comes once more, each message alone; of several members one that is too large even then is
cut, as a record is that is larger than the collector takes.
"""

from __future__ import annotations

from binascii import hexlify
from collections import deque
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec
from confluent_kafka import KafkaError, Message

from pipeline.collect.batch import Member, cut_short
from pipeline.collect.sinks.intake import Ticket
from pipeline.collect.sinks.recording.line import SAME
from pipeline.decode.collected import CUT

TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE})
UNFIT: Final = frozenset(
    {KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG, KafkaError._INVALID_DIFFERENT_RECORD}
)
"""A record without a key for a topic that is compacted, one that has no schema where brokers want one."""
CUT_BYTES: Final = 1_000
"""So much is left of a member that its topic does not take: nobody says what that takes."""

Reports: TypeAlias = deque[tuple["Delivery", int, KafkaError | None]]


@dataclass(slots=True, eq=False)
class Delivery:
    """A ticket whose members are with the client."""

    ticket: Ticket
    reports: Reports
    left: int
    """Members that nothing was heard of yet."""
    failed: KafkaError | None = None
    """Why it is refused: what may pass before what is for good."""
    kept: list[int] = field(default_factory=list)
    """Members that were acknowledged, where it has several."""
    again: dict[int, Member] = field(default_factory=dict)
    """What was handed over alone."""

    def report(self, index: int, error: KafkaError | None, message: Message) -> None:
        """Take what became of one member; in the thread that listens."""
        self.reports.append((self, index, error))

    def acknowledged(self, index: int) -> None:
        """A member is kept."""
        self.left -= 1
        if len(self.ticket.batch.members) > 1:
            self.kept.append(index)

    def refused(self, error: KafkaError) -> None:
        """A member is not kept."""
        self.left -= 1
        known = None if self.failed is None else self.failed.code()
        if known is None or known in TOO_LARGE or (known in UNFIT and error.code() not in TOO_LARGE):
            self.failed = error

    def next_try(self, index: int, error: KafkaError) -> Member | None:
        """Return what to hand over alone for a member that was refused; None: it was tried."""
        code, members = error.code(), self.ticket.batch.members
        before = self.again.get(index)
        if code not in TOO_LARGE and code not in UNFIT:
            return None
        if before is None:
            self.again[index] = members[index]
        elif before is members[index] and code in TOO_LARGE and len(members) > 1:
            self.again[index] = cut(before, CUT_BYTES)
        else:
            return None
        return self.again[index]

    def same(self) -> list[bytes]:
        """Return the digests of what was kept, though the whole is refused: it need not come again."""
        members = self.ticket.batch.members
        return [same for index in self.kept if (same := members[index].same) is not None]


def headers_of(member: Member) -> list[tuple[str, str | bytes | None]]:
    """Return the headers of a member's message."""
    headers: list[tuple[str, str | bytes | None]] = [*member.headers]
    return headers if member.same is None else [(SAME, hexlify(member.same)), *headers]


def cut(member: Member, most: int) -> Member:
    """Return a member with so much of its value; the job makes a dead letter of it."""
    value, says = cut_short(member.value or b"", most)
    if any(name == CUT for name, _ in member.headers):
        return msgspec.structs.replace(member, value=value)  # the header says how long it was at first
    return msgspec.structs.replace(member, value=value, headers=(*member.headers, says))


def size_of(member: Member) -> int:
    """Return at least what a member takes as a message."""
    headers = sum([len(name) + len(value) + 10 for name, value in member.headers])
    return len(member.value or b"") + len(member.user or "") + headers + 90
