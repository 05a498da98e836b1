"""What outlives a process: the stream, the receivers, the clocks, and what is known to have happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from random import Random

from pipeline.deliver.http.attempt import Attempt, Fault
from pipeline.deliver.lanes.lane import Lane
from pipeline.outbox.codec import key_origin, replay_number
from pipeline.outbox.handover import Outcome, Result
from tests.simulation.bytewax import Tokens
from tests.simulation.disk import Disk
from tests.simulation.records import START_SECS


class Wrong(AssertionError):
    """A promise is broken."""


@dataclass(slots=True)
class Answer:
    """What a receiver says; a delay without end: nothing."""

    status: int = 0
    fault: Fault | None = None
    delay_secs: float = 0.0


@dataclass(slots=True)
class Known:
    """What is known of one delivery key."""

    shard: int
    message_id: str
    body: tuple[str, bytes]
    first_sent: int = -1
    first_end: int = -1
    """When (in operations) it was sent first, and when its end was first written to a journal."""
    end: Outcome | None = None
    """How it ended, as a journal says that no power cut has taken."""
    generation: int = 0
    """Of the journal that says so, in this life."""
    attempts: int | None = 0
    """Attempts in journals; None: a power cut may have taken some."""
    is_safe: bool = False
    """True once a durable epoch has that end."""
    was_taken: bool = False
    """Good answers of the receiver, whatever we know of them."""


@dataclass
class World:
    """One machine, its disk, and what is around it."""

    luck: Random
    disk: Disk
    shards: int
    now: float = 1000.0
    """Monotonic seconds."""
    step_secs: float = 0.0
    """How far the machine's clock was set forward, or back."""
    clock_was_wrong: bool = False
    boot: bytes = bytes(16)
    tokens: Tokens = field(default_factory=dict)
    version: int = 0
    """The config files as they are now."""
    peaceful: bool = False
    """True: receivers take everything, at once."""
    keys: dict[bytes, Known] = field(default_factory=dict)
    bodies: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """webhook-id to URL and body."""
    halted: dict[str, str] = field(default_factory=dict)
    """Webhooks that a person has stopped, as told when the command returned."""
    emitted: dict[str, dict[int, tuple[str, int]]] = field(default_factory=dict)
    """Per partition: line to source and offset; what has once left is never another one."""
    ran: dict[str, dict[int, int]] = field(default_factory=dict)
    """Per partition: line to the config version that it ran under."""
    dropped: set[bytes] = field(default_factory=set)
    """Delivery keys that were asked to be given up; a crash may bring them back."""
    kept: dict[str, int] = field(default_factory=dict)
    """Per partition: lines whose order is on disk."""
    loose: set[str] = field(default_factory=set)
    """webhook-ids whose body a power cut may have changed: the trail is synced a moment later."""
    time: int = 0
    trace: list[str] = field(default_factory=list)

    def wall_ms(self) -> int:
        """Return what the machine's clock says (unix ms)."""
        return self.true_ms() + int(self.step_secs * 1000)

    def true_ms(self) -> int:
        """Return what right clocks say."""
        return int((START_SECS + 1_000_000 + self.now) * 1000)

    @property
    def operations(self) -> int:
        """How many operations there were."""
        return self.disk.operations

    def tell(self, what: str) -> None:
        self.trace.append(what)

    # --- the receivers

    def receive(self, attempt: Attempt) -> Answer:
        """Take a request, check what was promised of it, and say how it will be answered."""
        lane: Lane = attempt.owner
        self.time += 1
        if self.halted.get(lane.webhook_id):
            raise Wrong(f"{lane.webhook_id} was told to be {self.halted[lane.webhook_id]}, and is sent to")
        for delivery in attempt.items:
            request = delivery.request
            body = (request.url, request.body)
            known = self.keys.get(request.key)
            if known is None:
                known = self.keys[request.key] = Known(delivery.port.shard, request.message_id, body)
            if known.body != body and request.message_id not in self.loose:
                raise Wrong(f"{request.key!r} has two bodies: {known.body}, {body}")
            before = self.bodies.setdefault(request.message_id, body)
            if before != body and request.message_id not in self.loose:
                raise Wrong(f"{request.message_id} has two bodies: {before}, {body}")
            if known.end is not None:
                raise Wrong(f"{request.key!r} is sent again although a journal says it was {known.end.name}")
            if known.attempts is not None and delivery.progress.attempt != known.attempts:
                raise Wrong(
                    f"{request.key!r}: attempt {delivery.progress.attempt}, journals have {known.attempts}"
                )
            if known.first_sent < 0:
                known.first_sent = self.time
        return self._answer(lane.webhook_id)

    def _answer(self, webhook_id: str) -> Answer:
        luck = self.luck
        if self.peaceful:
            return Answer(200, delay_secs=0.01)
        chance, delay = luck.random(), luck.choice((0.0, 0.01, 0.3, 2.0))
        if chance < 0.6:
            return Answer(200, delay_secs=delay)
        if chance < 0.75:
            return Answer(luck.choice((503, 500, 429)), delay_secs=delay)
        if chance < 0.84:
            return Answer(luck.choice((400, 404)), delay_secs=delay)
        if chance < 0.85:
            return Answer(410, delay_secs=delay)
        if chance < 0.93:
            return Answer(fault=luck.choice(("reset", "connect", "timeout")), delay_secs=delay)
        return Answer(200, delay_secs=inf)

    def answered(self, attempt: Attempt, answer: Answer) -> None:
        """An answer has come; nothing is written down yet."""
        if answer.fault is None and 200 <= answer.status < 300:
            for delivery in attempt.items:
                self.keys[delivery.request.key].was_taken = True

    # --- what the process has promised so far

    def journalled(self, results: Sequence[Result], generation: int) -> None:
        """These results are in a journal: a kill does not take them."""
        self.time += 1
        for result in results:
            known = self.keys.get(result.delivery.request.key)
            if known is None or result.outcome is Outcome.PARKED:
                continue  # never sent: too old, or put back on disk
            known.attempts = result.delivery.progress.attempt
            if result.outcome is not Outcome.RETRY:
                known.end, known.generation = result.outcome, generation
                if known.first_end < 0:
                    known.first_end = self.time

    def ends_of(self, shard: int, seq: int) -> list[Known]:
        """Return what has ended in a shard before its epoch of that number, and was in no durable epoch."""
        return [
            one
            for one in self.keys.values()
            if one.shard == shard and one.end and not one.is_safe and one.generation < seq
        ]

    def begins(self) -> None:
        """A life begins: what is in journals goes into its first epoch."""
        for one in self.keys.values():
            one.generation = 0

    def power_is_lost(self) -> None:
        """Whatever stands in no durable epoch may be forgotten now."""
        self.boot = bytes([self.boot[0] + 1]) * 16
        for known in self.keys.values():
            if not known.is_safe:
                known.end = None
            known.attempts = None
        for partition, lines in self.emitted.items():
            lost = [line for line in lines if line >= self.kept.get(partition, 0)]
            places = {lines.pop(line)[:2] for line in lost}
            self.loose |= {one.message_id for key, one in self.keys.items() if place(key) in places}

    def order_is_kept(self, partition: str, lines: int | None = None) -> None:
        """In which order these lines have left, or all so far, is on disk."""
        lines = len(self.emitted.get(partition, ())) if lines is None else lines
        self.kept[partition] = max(lines, self.kept.get(partition, 0))

    def emits(self, partition: str, line: int, source: str, offset: int, version: int) -> None:
        """A line leaves the source."""
        ran = self.ran.setdefault(partition, {}).setdefault(line, version)
        before = self.emitted.setdefault(partition, {}).setdefault(line, (source, offset))
        if (before, ran) != ((source, offset), version):
            raise Wrong(
                f"line {line} of {partition} was {before} under {ran}: {source}, {offset}, {version} now"
            )


def is_replay(key: bytes) -> bool:
    """Return whether this is the key of a dead letter that is sent again."""
    return replay_number(key) != 0


def place(key: bytes) -> tuple[str, int]:
    """Return where the event of a delivery key was read."""
    origin = key_origin(key)[1]
    return origin.source, origin.offset
